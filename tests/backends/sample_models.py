"""Tiny real models of every framework, written where a test wants them."""

# ruff: noqa: PLC0415 - each framework is imported only by the tests that need it

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

# An array of each Triton datatype, in KServe's names; BF16 as the bits of 1.5, -2 and 0.
VALUES: Mapping[str, npt.NDArray[Any]] = {
    "BOOL": np.array([[True, False, True]]),
    "UINT8": np.array([[0, 7, 255]], np.uint8),
    "UINT16": np.array([[0, 7, 65535]], np.uint16),
    "UINT32": np.array([[0, 7, 2**32 - 1]], np.uint32),
    "UINT64": np.array([[0, 7, 2**64 - 1]], np.uint64),
    "INT8": np.array([[-128, 7, 127]], np.int8),
    "INT16": np.array([[-(2**15), 7, 2**15 - 1]], np.int16),
    "INT32": np.array([[-(2**31), 7, 2**31 - 1]], np.int32),
    "INT64": np.array([[-(2**63), 7, 2**63 - 1]], np.int64),
    "FP16": np.array([[-1.5, 0.25, 65504]], np.float16),
    "FP32": np.array([[-1.5, 0.25, 3e38]], np.float32),
    "FP64": np.array([[-1.5, 0.25, 1e300]], np.float64),
    "BF16": np.array([[0x3FC0, 0xC000, 0]], np.uint16),
    "BYTES": np.array([[b"one", "zwölf".encode(), b""]], object),
}
_ONNX_NAMES = {"FP16": "FLOAT16", "FP32": "FLOAT", "FP64": "DOUBLE", "BF16": "BFLOAT16", "BYTES": "STRING"}


def onnx_model(path: Path, nodes: Sequence[Any], inputs: Sequence[Any], outputs: Sequence[Any], **graph: Any) -> Path:
    """An ONNX model of these nodes; tensors are `(name, element type's name, shape)`."""
    import onnx
    from onnx import TensorProto, helper

    def info(name: str, element: str, shape: Sequence[Any] | None) -> Any:
        return helper.make_tensor_value_info(name, getattr(TensorProto, element), shape)

    made = helper.make_graph(
        nodes, "graph", [info(*each) for each in inputs], [info(*each) for each in outputs], **graph
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path


def onnx_identity(path: Path, datatypes: Sequence[str] = tuple(VALUES)) -> Path:
    """Gives each input `IN_<datatype>` of shape [batch, n] back as `OUT_<datatype>`."""
    from onnx import helper

    element = {datatype: _ONNX_NAMES.get(datatype, datatype) for datatype in datatypes}
    return onnx_model(
        path,
        [helper.make_node("Identity", [f"IN_{name}"], [f"OUT_{name}"]) for name in datatypes],
        [(f"IN_{name}", element[name], ["batch", "n"]) for name in datatypes],
        [(f"OUT_{name}", element[name], ["batch", "n"]) for name in datatypes],
    )


def onnx_gather(path: Path) -> Path:
    """Picks `table[index]` of ten numbers, fails for an index out of range; and gives `twice` the index as well."""
    from onnx import helper, numpy_helper

    return onnx_model(
        path,
        [
            helper.make_node("Gather", ["table", "index"], ["picked"]),
            helper.make_node("Add", ["index", "index"], ["twice"]),
        ],
        [("index", "INT64", ["batch", "n"])],
        [("picked", "FLOAT", ["batch", "n"]), ("twice", "INT64", ["batch", "n"])],
        initializer=[numpy_helper.from_array(np.arange(10, dtype=np.float32), "table")],
    )


def torchscript(path: Path, module: Any) -> Path:
    """The module as `torch.jit.script` and `torch.jit.save` make it."""
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(module.eval()), str(path))
    return path


def exported_program(path: Path, module: Any, arguments: tuple[Any, ...], dynamic_shapes: Any = None) -> Path:
    """The module as `torch.export.export` and `torch.export.save` make it."""
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch's own making
        program = torch.export.export(module.eval(), arguments, dynamic_shapes=dynamic_shapes)
        torch.export.save(program, str(path))
    return path


def saved_model(path: Path, signatures: Mapping[str, tuple[Callable[..., Any], Mapping[str, Any]]]) -> Path:
    """A SavedModel whose signatures are functions of the named `(shape, dtype)` inputs."""
    import tensorflow as tf

    module = tf.Module()
    concrete = {}
    for name, (function, inputs) in signatures.items():
        specs = {key: tf.TensorSpec(shape, dtype, name=key) for key, (shape, dtype) in inputs.items()}
        concrete[name] = tf.function(function).get_concrete_function(**specs)
    path.parent.mkdir(parents=True, exist_ok=True)
    tf.saved_model.save(module, str(path), signatures=concrete)
    return path


def saved_model_identity(path: Path) -> Path:
    """Gives each input `IN_<datatype>` of shape [batch, n] back as `OUT_<datatype>`."""
    import tensorflow as tf

    names = {"FP16": "float16", "FP32": "float32", "FP64": "float64", "BF16": "bfloat16", "BYTES": "string"}

    def identity(**tensors: Any) -> dict[str, Any]:
        return {f"OUT_{name.removeprefix('IN_')}": tf.identity(tensor) for name, tensor in tensors.items()}

    inputs = {f"IN_{name}": ([None, None], tf.as_dtype(names.get(name, name.lower()))) for name in VALUES}
    return saved_model(path, {"serving_default": (identity, inputs)})

"""ONNX models, run by ONNX Runtime on the CPU."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from converters.arrays import DATATYPES, Array, Feeds, datatype_of
from converters.errors import BadData, BadSource, ConversionError, OutOfResources, Place, ToolMissing, Unsupported
from converters.graph.signature import Tensor

MESSAGE_LIMIT = 2**31 - 1
"""Bytes that a protobuf message can have; models beyond it keep their weights in files of their own."""

# ONNX Runtime names types as numpy does, but for these.
_DATATYPES: Mapping[str, str] = {**DATATYPES, "float": "FP32", "double": "FP64", "string": "BYTES"}
_FLOATS: Mapping[str, type[np.floating[Any]]] = {"FP16": np.float16, "FP32": np.float32, "FP64": np.float64}

# How ONNX Runtime names a node in what it says while it loads a model, and while it runs one.
_NODE = (
    re.compile(r"Could not find an implementation for (?P<operator>\w+)\(\d+\) node with name '(?P<name>[^']*)'"),
    re.compile(r"In Node, \(\"(?P<name>[^\"]*)\", (?P<operator>\w+),"),
    re.compile(r"operator \((?P<operator>\w+)\) in node \((?P<name>[^)]*)\)"),
    re.compile(r"Node \((?P<name>[^)]*)\) Op \((?P<operator>\w+)\)"),
    re.compile(r"Optype \((?P<operator>\w+)\) bound .* in node \((?P<name>[^)]*)\)"),
    re.compile(r"while running (?P<operator>\w+) node\. Name:'(?P<name>[^']*)'"),
)
_PREFIX = re.compile(
    r"^\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : |(?<=\s)/\S+/onnxruntime/\S+|This is an invalid model\. "
)


class OnnxRunner:
    """A model in ONNX Runtime, on the CPU. Threads may run it at the same time.

    Args:
        model: the model, or its file; a file may keep its weights in others beside it.
        threads: that one operator may use; None means one for each core.
        fuse: merge nodes, which is fast; but it merges FP8 quantisation away, and what it then computes is wrong.

    Raises:
        ToolMissing: ONNX Runtime is not installed.
        BadSource: the file is missing or damaged, or the graph is not valid.
        Unsupported: ONNX Runtime has no implementation of an operator for its types (names the node), or the model
            takes or gives something other than tensors of numpy's types.
        OutOfResources: there is not enough memory.
    """

    def __init__(self, model: onnx.ModelProto | Path, threads: int | None = None, *, fuse: bool = True) -> None:
        try:
            import onnxruntime  # noqa: PLC0415 - heavy
        except ImportError as error:
            raise ToolMissing(
                "ONNX Runtime is not installed", hint="run `pip install 'triton-gateway[convert]'`"
            ) from error
        self._name = f"onnxruntime {onnxruntime.__version__}"
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # its errors come as exceptions
        options.intra_op_num_threads = threads or 0
        if not fuse:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            self._session: Any = _session(onnxruntime, model, options)
        except Exception as error:
            raise _load_error(error) from error
        self._inputs = tuple(_tensor(value) for value in self._session.get_inputs())
        self._outputs = tuple(_tensor(value) for value in self._session.get_outputs())
        for tensor in self._inputs:
            _check_supported(tensor, "input")

    @property
    def name(self) -> str:
        """What runs it, with its version."""
        return self._name

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """All outputs by name for one batch.

        Floating-point inputs of another width than the model's are converted: a result whose inputs became FP16 is
        judged on the same data as its original.

        Raises:
            BadData: the model does not take this input; says which tensor and what it should be.
            OutOfResources: there is not enough memory for this batch.
        """
        for tensor in self._outputs:
            _check_supported(tensor, "output")
        checked = checked_feeds(self._inputs, feeds)
        try:
            values = self._session.run([tensor.name for tensor in self._outputs], checked)
        except Exception as error:
            raise _run_error(error, feeds) from error
        return {tensor.name: np.asarray(value) for tensor, value in zip(self._outputs, values, strict=True)}

    def close(self) -> None:
        """Let go of memory; it cannot be run after."""
        self._session = None


def checked_feeds(inputs: Sequence[Tensor], feeds: Feeds) -> dict[str, Array]:
    """The feeds as the model takes them.

    Raises:
        BadData: an input is missing or unknown, or has another type or shape than the model's.
    """
    expected = {tensor.name: tensor for tensor in inputs}
    if missing := [str(tensor) for name, tensor in expected.items() if name not in feeds]:
        raise BadData(
            f"the data has no {', '.join(missing)}", hint=f"it has {_listed(feeds)}; name what the model takes"
        )
    if unknown := [name for name in feeds if name not in expected]:
        raise BadData(
            f"the model has no input {', '.join(unknown)}", hint=f"it takes {'; '.join(map(str, inputs)) or 'nothing'}"
        )
    return {name: _checked(expected[name], np.asarray(array)) for name, array in feeds.items()}


def _checked(tensor: Tensor, array: Array) -> Array:
    shape = tensor.shape
    fits = shape is None or (
        len(shape) == array.ndim
        and all(isinstance(size, str) or size == actual for size, actual in zip(shape, array.shape, strict=True))
    )
    datatype = datatype_of(array)
    convertible = tensor.datatype in _FLOATS and datatype in {*_FLOATS, "BF16"}
    if not fits or not (datatype == tensor.datatype or convertible):
        what = f"input '{tensor.name}' is {datatype or array.dtype} {list(array.shape)}"
        raise BadData(f"{what}, which does not fit", hint=f"the model takes {tensor}")
    if datatype == "BYTES":
        return array.astype(object)
    return array if datatype == tensor.datatype else array.astype(_FLOATS[tensor.datatype])


def _session(onnxruntime: Any, model: onnx.ModelProto | Path, options: Any) -> Any:
    providers = ["CPUExecutionProvider"]
    if isinstance(model, Path):
        return onnxruntime.InferenceSession(str(model), options, providers=providers)
    if model.ByteSize() <= MESSAGE_LIMIT:
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=providers)
    with tempfile.TemporaryDirectory(prefix="triton-convert-") as folder:
        path = Path(folder) / "model.onnx"
        copied = onnx.ModelProto()  # saving moves the weights out of the model that is saved
        copied.CopyFrom(model)
        onnx.save_model(copied, str(path), save_as_external_data=True, location="weights", size_threshold=1024)
        return onnxruntime.InferenceSession(str(path), options, providers=providers)


def _tensor(value: Any) -> Tensor:
    kind = re.fullmatch(r"tensor\((\w+)\)", value.type)
    shape = tuple(size if isinstance(size, int) and size > 0 else str(size or "") for size in value.shape)
    return Tensor(value.name, _DATATYPES.get(kind[1], "") if kind else "", shape)


def _check_supported(tensor: Tensor, role: str) -> None:
    if not tensor.datatype:
        raise Unsupported(
            f"{role} '{tensor.name}' is no plain tensor",
            hint="export the model with tensors only (scikit-learn: no ZipMap)",
        )
    if tensor.datatype == "BF16":
        raise Unsupported(
            f"{role} '{tensor.name}' is BF16, which ONNX Runtime does not pass to numpy",
            hint="keep the types of inputs and outputs as they were",
        )


def _load_error(error: Exception) -> ConversionError:
    problem, place = _told(error)
    if isinstance(error, MemoryError) or _is_memory(problem):
        return OutOfResources("there is not enough memory to load the model", hint="use a machine with more memory")
    if type(error).__name__ == "NotImplemented" or "Type Error: Type '" in problem:
        return Unsupported(
            f"ONNX Runtime does not run this operator for these types on the CPU: {problem}",
            hint="keep this node in FP32, or verify on a machine with a GPU",
            place=place,
        )
    if "No Op registered" in problem or "No opset import" in problem or "is not a registered function" in problem:
        return Unsupported(
            f"ONNX Runtime does not know this operator: {problem}",
            hint="export the model with operators of ONNX alone, in an opset that has them",
            place=place,
        )
    return BadSource(f"ONNX Runtime does not load the model: {problem}", hint="export it again", place=place)


def _run_error(error: Exception, feeds: Feeds) -> ConversionError:
    problem, place = _told(error)
    if isinstance(error, MemoryError) or _is_memory(problem):
        return OutOfResources(
            f"there is not enough memory to run {_listed(feeds)}", hint="use smaller batches", place=place
        )
    return BadData(
        f"the model does not run on {_listed(feeds)}: {problem}",
        hint="give data of the shapes that the model was made for",
        place=place,
    )


def _told(error: Exception) -> tuple[str, Place]:
    """What ONNX Runtime says, in one line, and the node that it names."""
    text = str(error).strip()
    # Of a node it says all inputs and outputs first, and what is wrong with it last.
    problem = " ".join(_PREFIX.sub("", text).split()).rpartition(" , Error ")[2] or type(error).__name__
    found = next((match for pattern in _NODE if (match := pattern.search(text))), None)
    return problem[:300].rstrip("."), Place(node=f"{found['name']} ({found['operator']})" if found else "")


def _is_memory(problem: str) -> bool:
    return "Failed to allocate memory" in problem or "bad_alloc" in problem or "bad allocation" in problem


def _listed(feeds: Feeds) -> str:
    told = (f"{name} {datatype_of(array) or array.dtype} {list(array.shape)}" for name, array in feeds.items())
    return ", ".join(told) or "nothing"

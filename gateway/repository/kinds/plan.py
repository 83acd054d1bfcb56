"""TensorRT engines, which only TensorRT itself can look into, and only on a GPU like the one that they are for."""

from __future__ import annotations

import importlib
import shutil
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.core.errors import ModelRefused
from gateway.repository.description import ANY, Description, Hints, Tensor
from gateway.repository.kinds.base import Target
from gateway.repository.kinds.hinted import batching, corrected
from gateway.repository.kinds.specs import folder_size

if TYPE_CHECKING:
    from gateway.repository.kinds.base import Array

_FILENAME = "model.plan"
_DATATYPES = {
    "FLOAT": "FP32", "HALF": "FP16", "BF16": "BF16", "INT8": "INT8", "UINT8": "UINT8", "INT32": "INT32",
    "INT64": "INT64", "BOOL": "BOOL",
}  # fmt: skip
_BUILD = "build it again with `trtexec --onnx=model.onnx --saveEngine=model.plan`"


# The layout of TensorRT for RTX: the size of the whole at byte 16, and at byte 32 a bit for each target.
_RTX, _RTX_HEAD, _RTX_TARGETS = b"vtrt", struct.Struct("<16xQ8xI"), (75, 80, 86, 89, 120, 121)


class PlanKind:
    """A TensorRT engine, for the backend `tensorrt`: Triton's own in its containers, or ours."""

    name = "plan"
    title = "TensorRT engine (.plan)"

    def recognise(self, source: Path) -> bool:
        """By the ending: the first bytes differ with the version of TensorRT."""
        return source.suffix.lower() in (".plan", ".engine", ".trt") and source.is_file()

    def companions(self, source: Path) -> tuple[Path, ...]:  # noqa: ARG002 - of the protocol; an engine is one file
        """None."""
        return ()

    def prepare(self, source: Path, target: Target, hints: Hints) -> Description:
        """The engine as `model.plan`; inputs and outputs by TensorRT where it is installed, or by hints.

        Raises:
            ModelRefused: it is no engine, or nothing tells its inputs and outputs.
        """
        _check(source)
        inputs, outputs, notes = _by_tensorrt(source, hints) or _by_hints(source, hints)
        shutil.copyfile(source, target.version / _FILENAME)
        return Description(
            kind=self.name,
            backend="tensorrt",
            framework=None,
            inputs=inputs,
            outputs=outputs,
            batches=batching(hints, inputs, outputs),
            filename=_FILENAME,
            size_bytes=folder_size(target.version),
            ambiguous=notes,
            origin={"format": "TensorRT engine"},
        )

    def reference(self, version: Path, description: Description, inputs: Mapping[str, Array]) -> Mapping[str, Array]:  # noqa: ARG002 - of the protocol
        """Nothing: an engine runs only on a GPU like the one that it was built for."""
        return {}


def compute_capabilities(plan: Path) -> tuple[int, ...]:
    """What an engine runs on, such as 89 for sm_89, by its first bytes; nothing where they do not tell."""
    try:
        with plan.open("rb") as file:
            head = file.read(_RTX_HEAD.size)
    except OSError:
        return ()
    if not head.startswith(_RTX) or len(head) < _RTX_HEAD.size:
        return ()
    return tuple(each for bit, each in enumerate(_RTX_TARGETS) if _RTX_HEAD.unpack(head)[1] >> bit & 1)


_Told = tuple[tuple[Tensor, ...], tuple[Tensor, ...], tuple[str, ...]]


def _check(source: Path) -> None:
    """Refuse what is no engine by its first bytes."""
    with source.open("rb") as file:
        head = file.read(64)
    if not head:
        raise ModelRefused(f"'{source.name}' is empty; copy it again")
    if head.startswith(_RTX) and len(head) >= _RTX_HEAD.size and source.stat().st_size < _RTX_HEAD.unpack_from(head)[0]:
        raise ModelRefused(
            f"'{source.name}' is cut short: it has {source.stat().st_size} of its {_RTX_HEAD.unpack_from(head)[0]} "
            "bytes; copy it again"
        )
    if head[4:].lstrip().startswith(b"{") and int.from_bytes(head[:4], "little") < source.stat().st_size:
        raise ModelRefused(
            f"'{source.name}' has JSON in front of the engine, as Ultralytics writes it, which Triton cannot read; "
            "export the model as ONNX (format='onnx') and drop that, or cut the first 4 + N bytes off, where N is the "
            "little-endian number in the first 4"
        )
    if (head.isascii() and head.decode().isprintable()) or head[:1] == b"\x08":
        raise ModelRefused(f"'{source.name}' is no TensorRT engine, whatever its name says; {_BUILD}")


def _by_tensorrt(source: Path, hints: Hints) -> _Told | None:
    """By the engine itself; None where TensorRT is not installed."""
    try:
        tensorrt = importlib.import_module("tensorrt")
        logger = tensorrt.Logger(tensorrt.Logger.ERROR)
    except (ImportError, AttributeError, OSError):  # an empty package of that name, or no driver
        return None
    engine = tensorrt.Runtime(logger).deserialize_cuda_engine(source.read_bytes())
    if engine is None:
        raise ModelRefused(
            f"'{source.name}' cannot be opened by TensorRT {tensorrt.__version__} here: it was built with another "
            f"version, or for another GPU; {_BUILD} here"
        )
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    is_input = {name: engine.get_tensor_mode(name) == tensorrt.TensorIOMode.INPUT for name in names}
    tensors = {name: _tensor(engine, name) for name in names}
    inputs = corrected("input", [tensors[name] for name in names if is_input[name]], hints.inputs)
    outputs = corrected("output", [tensors[name] for name in names if not is_input[name]], hints.outputs)
    return inputs, outputs, tuple(_largest_batch(engine, inputs))


def _tensor(engine: Any, name: str) -> Tensor:
    kind = engine.get_tensor_dtype(name).name
    if kind not in _DATATYPES:
        raise ModelRefused(
            f"'{name}' is {kind}, which Triton cannot carry; build the engine with a float32 tensor there"
        )
    return Tensor(name, _DATATYPES[kind], tuple(int(size) for size in engine.get_tensor_shape(name)))


def _largest_batch(engine: Any, inputs: tuple[Tensor, ...]) -> Iterator[str]:
    """A note on the batch that the engine was built for: Triton refuses a larger one."""
    largest = [engine.get_tensor_profile_shape(t.name, 0)[2][0] for t in inputs if t.shape[:1] == (ANY,)]
    if largest:
        most = min(largest)
        yield f"the engine was built for batches of up to {most}: say max_batch_size: {most} in model.yaml"


def _by_hints(source: Path, hints: Hints) -> _Told:
    tensors = (*hints.inputs, *hints.outputs)
    if hints.inputs and hints.outputs and all(tensor.datatype for tensor in tensors):
        return hints.inputs, hints.outputs, ()
    raise ModelRefused(
        f"'{source.name}' is a TensorRT engine, which can't be looked into here: that takes TensorRT and a GPU like "
        "the one it was built for. Say its inputs and outputs with name, datatype and shape in a model.yaml beside it, "
        "or add it as a Triton model folder with a complete config.pbtxt, as `triton-convert` publishes it; and serve "
        "it on a machine with such a GPU (an external Triton in configs/gateway.yaml). Or drop the ONNX model that it "
        "was built from: that runs anywhere"
    )

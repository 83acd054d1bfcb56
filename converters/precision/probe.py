"""Runs a model in ONNX Runtime for what its tensors hold inside."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import onnx

from converters.arrays import Array, Feeds
from converters.errors import DISK_FULL, BadData, ConversionError, OutOfResources, Unsupported

EXTERNAL_BYTES = 1 << 30
"""Models above this size are handed over with their weights in a file of their own; protobuf ends at 2 GiB."""


class Probe:
    """A model that gives the outputs of further nodes instead of its own.

    Args:
        model: is not changed.
        nodes: appended to the graph.
        outputs: names of tensors to give.

    Raises:
        Unsupported: ONNX Runtime doesn't take the model, or a tensor that the nodes read isn't in the main graph.
        OutOfResources: no memory or disk is left.
    """

    def __init__(self, model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], outputs: Sequence[str]) -> None:
        self._outputs = list(outputs)
        probed = onnx.ModelProto()
        probed.CopyFrom(model)
        _refuse_unknown(probed.graph, nodes)
        probed.graph.node.extend(nodes)
        del probed.graph.output[:]
        probed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
        self._session = _session(probed)
        self._inputs = {value.name for value in self._session.get_inputs()}

    def run(self, feeds: Feeds) -> list[Array]:
        """The outputs for one batch, in order.

        Raises:
            BadData: the model fails on this batch.
            OutOfResources: no memory is left.
        """
        try:
            # Inputs that no output depends on are still inputs.
            result: list[Array] = self._session.run(self._outputs, {name: feeds[name] for name in self._inputs})
        except Exception as error:
            raise _translated(error, BadData, "the model fails on this data in ONNX Runtime") from None
        return result

    def __enter__(self) -> Probe:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        del self._session


def _session(model: onnx.ModelProto) -> Any:
    import onnxruntime  # noqa: PLC0415 - heavy; only calibration needs it

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong comes as an exception too
    # Basic optimisations keep the names and values of tensors; the layouts of the higher ones cost more than they gain
    # when every tensor is looked at.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    # One run looks at tensors of every size once, and an arena would keep the sum of the largest.
    options.enable_cpu_mem_arena = False
    try:
        with tempfile.TemporaryDirectory(prefix="triton-convert-") as folder:
            path = Path(folder, "model.onnx")
            onnx.save(model, path, save_as_external_data=model.ByteSize() > EXTERNAL_BYTES)
            return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise _translated(error, Unsupported, "ONNX Runtime does not take the model") from None


def _refuse_unknown(graph: onnx.GraphProto, nodes: Sequence[onnx.NodeProto]) -> None:
    known = {value.name for value in (*graph.input, *graph.initializer)}
    for node in (*graph.node, *nodes):
        known.update(node.output)
    missing = sorted({name for node in nodes for name in node.input} - known)
    if missing:
        raise Unsupported(
            f"tensor '{missing[0]}' is not in the model's main graph",
            hint="name an input or the output of a node; tensors inside If, Loop and Scan cannot be calibrated",
        )


def _translated(error: Exception, kind: type[ConversionError], what: str) -> ConversionError:
    message = " ".join(str(error).split())
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return OutOfResources(
            f"no space is left in {tempfile.gettempdir()} for a working copy of the model",
            hint="free some, or set TMPDIR to a folder on a larger disk",
        )
    if isinstance(error, MemoryError) or "allocate" in message or "bad_alloc" in message:
        return OutOfResources(
            "no memory is left to run the model for calibration", hint="calibrate with smaller batches"
        )
    return kind(f"{what}: {message[:500]}", hint=_HINTS[kind])


_HINTS = {
    Unsupported: "run `triton-convert` on the model in FP32 first, to see whether it runs at all",
    BadData: "compare the data's shapes with the model's inputs",
}

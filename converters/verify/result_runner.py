"""Runs a result by its file: ONNX in ONNX Runtime, an engine on this machine's GPU."""

from __future__ import annotations

from pathlib import Path

from converters.engines.validity import header_of, is_engine
from converters.graph.files import load
from converters.precision.types import holds_low_floats, precision_of
from converters.verify.base import Runner
from converters.verify.onnx_runner import OnnxRunner


def result_runner(path: Path, threads: int | None = None) -> Runner:
    """A runner for a result. FP16 and BF16 are rounded on the CPU as a GPU would round them.

    Raises:
        BadSource, BadEngine: it is neither.
        ToolMissing: it is an engine, and there is no GPU or no library to run it.
    """
    if is_engine(path):
        from converters.engines.loaded import EngineRunner  # noqa: PLC0415 - only engines need it

        return EngineRunner(path, header_of(path).builder)
    from converters.precision.emulated import EmulatedFromMixed  # noqa: PLC0415 - only ONNX needs it

    model = load(path)
    runnable = EmulatedFromMixed(model)() if holds_low_floats(model) else path
    return OnnxRunner(runnable, threads, fuse=precision_of(model) != "fp8")

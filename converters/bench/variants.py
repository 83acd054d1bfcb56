"""What can be measured: a model in its own framework, as ONNX, or as an engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import onnx

from converters.arrays import Array, Feeds
from converters.engines.validity import header_of, is_engine
from converters.originals.base import ExportOptions
from converters.originals.recognise import original
from converters.verify.base import Runner
from converters.verify.onnx_runner import OnnxRunner


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to run a model.

    Attributes:
        name: as tables show it, such as "FP32 ONNX".
        start: loads it, as something that several threads may run at the same time; a ConversionError (no GPU, no such
            library, no implementation) is listed as its reason.
    """

    name: str
    start: Callable[[], Runner]


def onnx_variant(name: str, model: onnx.ModelProto | Path, threads: int | None = None) -> Variant:
    """A model in ONNX Runtime on the CPU, with so many threads for each operator."""
    return Variant(name, lambda: OnnxRunner(model, threads))


def engine_variant(name: str, plan: Path, builder: str, weights: bytes | None = None) -> Variant:
    """An engine on this machine's GPU, built by that builder; threads wait for one another, as it has one context."""

    def start() -> Runner:
        from converters.engines.loaded import EngineRunner  # noqa: PLC0415 - needs TensorRT only if there is a plan

        return OneAtATime(EngineRunner(plan, builder, weights))

    return Variant(name, start)


def variant_of(model: str, threads: int | None = None) -> Variant:
    """Whatever a path or a function's reference is, named as it was written.

    Args:
        model: an engine, known by its header or its ending; an ONNX file, run as it is; or any other model.
        threads: for ONNX.

    Raises:
        BadSource: there is nothing, or nothing that is known.
        BadEngine: the engine is damaged.
    """
    path = Path(model)
    if path.is_file() and is_engine(path):
        return engine_variant(model, path, header_of(path).builder)
    if path.is_file() and path.suffix == ".onnx":
        return onnx_variant(model, path, threads)
    found = original(model)
    return Variant(model, lambda: found.runner(ExportOptions()))


class OneAtATime:
    """A runner that several threads may use: they wait for one another."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._lock = Lock()

    @property
    def name(self) -> str:
        """As the runner itself says."""
        return self._runner.name

    def run(self, feeds: Feeds) -> Mapping[str, Array]:
        """As the runner itself does, when it is free."""
        with self._lock:
            return self._runner.run(feeds)

    def close(self) -> None:
        """Close the runner."""
        self._runner.close()

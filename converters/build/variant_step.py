"""One variant: the ONNX model in another precision, judged, and searched for nodes to keep in FP32 if need be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import onnx

from converters.build.cache import Made
from converters.build.config import SearchSection, VariantSection
from converters.build.events import Event, StepProgress
from converters.build.gate_step import Judge, Refused, gate_of, in_short
from converters.build.onnx_step import Converted
from converters.build.tools import versions
from converters.build.workbench import Workbench
from converters.errors import BadData, ConversionError, GateFailed, Unsupported
from converters.graph.files import load, save
from converters.graph.patterns import matching
from converters.precision.base import QUANTISED, Calibration, Kept, Rest, ServedBy
from converters.precision.bisect import Attempt, nodes_to_keep
from converters.precision.emulated import EmulatedFromMixed
from converters.precision.typed import Calibrated, TypedFromOnnx, low_nodes
from converters.precision.types import holds_low_floats
from converters.to_onnx.lowering.sensitive import precision_sensitive_nodes
from converters.verify.base import Verdict
from converters.verify.layers import layer_differences, suspects, worst_layer
from converters.verify.onnx_runner import OnnxRunner

_COMPARED = 2  # batches that are enough to find the nodes that lose accuracy


@dataclass(frozen=True, slots=True)
class Base:
    """The FP32 graph that a variant is made from.

    Attributes:
        made: the step that made it.
        model: loads it.
        comparing: whether it holds written-out trees, whose comparisons must stay in FP32.
    """

    made: Made
    model: Callable[[], onnx.ModelProto]
    comparing: bool = False


@dataclass(frozen=True, slots=True)
class Typed:
    """A variant's graph.

    Attributes:
        made: the step that made it; holds `model.onnx`.
        kept: nodes that the configuration or the search left out.
        verdict: None without data to verify with.
    """

    made: Made
    kept: Kept
    verdict: Verdict | None

    def model(self) -> onnx.ModelProto:
        """Load the graph."""
        return load(self.made.folder / "model.onnx")


@dataclass(slots=True)
class VariantStep:
    """Makes one variant of one model."""

    bench: Workbench
    converted: Converted
    judge: Judge
    name: str
    served_by: ServedBy = "tensorrt"

    @property
    def title(self) -> str:
        """As people read it: INT8 for CPUs is another graph than INT8 for TensorRT."""
        return f"{self.name} cpu" if (self.section.precision, self.served_by) == ("int8", "cpu") else self.name

    @property
    def section(self) -> VariantSection:
        """What the configuration says of it."""
        return self.bench.section.variants[self.name]

    def made_from(self, base: Base) -> Typed:
        """The variant's graph, made from a base, after its gate.

        Raises:
            GateFailed: it is not good enough, and keeping nodes in FP32 did not help either.
            ConversionError: it cannot be made or run.
        """
        result = self._attempt(base, self._configured(base))
        if self.section.search and result.verdict is not None and not result.verdict.passed:
            result = self._searched(base, result, self.section.search)
        if result.verdict is not None and not result.verdict.passed:
            raise self._failure(base, result, result.verdict)
        return result

    @property
    def _rest(self) -> Rest:
        """The precision of what is not quantised; ONNX Runtime's CPU provider wants it in FP32."""
        return self.section.rest if self.served_by == "tensorrt" else "fp32"

    def _configured(self, base: Base) -> Kept:
        section, model = self.section, base.model
        hint = f"`triton-convert inspect {base.made.folder / 'model.onnx'} --nodes` lists them all"
        with self.bench.at(self.title):
            fp32 = matching(model(), section.keep, hint) if section.keep else frozenset()
            unquantised = matching(model(), section.unquantised, hint) if section.unquantised else frozenset()
        if base.comparing and section.precision != "fp32":
            fp32 |= precision_sensitive_nodes(model())
        return Kept(fp32, unquantised)

    def _attempt(self, base: Base, kept: Kept) -> Typed:
        made = self._converted(base, kept)
        gate = gate_of(self.section.gate, self.section.precision)
        judged = self.judge.verdict(f"gate {self.title}", made, lambda: self._runner(made), gate)
        verdict, known = judged or (None, True)
        if verdict is not None and verdict.passed:
            self.bench.done(f"gate {self.title}", in_short(verdict), cached=known)
        return Typed(made, kept, verdict)

    def _converted(self, base: Base, kept: Kept) -> Made:
        section, calibration = self.section, self._calibration()
        quantises = calibration is not None
        made_from: Mapping[str, Any] = {
            "onnx": base.made.digest,
            "precision": section.precision,
            "keep": sorted(kept.fp32),
            "unquantised": sorted(kept.unquantised),
            "keep_io": section.keep_io,
            "quantiser": section.quantiser,
            "rest": self._rest if quantises else "",
            "served_by": self.served_by if section.precision == "int8" else "",
            "calibration": calibration and {**asdict(calibration.calibration), "data": calibration.data.digest},
            "tools": versions(("onnx", "onnxruntime")),
        }

        def work(folder: Path, progress: StepProgress) -> None:
            progress.stage("calibrating" if calibration else "converting")
            typed = TypedFromOnnx(
                model=base.model(),
                precision=section.precision,
                keep=kept.fp32,
                unquantised=kept.unquantised,
                keep_io=section.keep_io,
                calibrated=calibration,
                rest=self._rest,
                served_by=self.served_by,
                modelopt=self._modelopt(),
            )()
            save(typed, folder / "model.onnx")

        made = self.bench.step(self.title, "typed", made_from, work)
        size = (made.folder / "model.onnx").stat().st_size
        told = f", {len(kept.fp32)} nodes kept in FP32" if kept.fp32 else ""
        self.bench.done(self.title, f"{section.precision}, {size / 1e6:.1f} MB{told}", cached=made.cached)
        return made

    def _calibration(self) -> Calibrated | None:
        if self.section.precision not in QUANTISED:
            return None
        data = self.converted.calibration
        if data is None:
            raise BadData("there is no calibration data", hint="give some in data.calibration")
        return Calibrated(data, Calibration(**self.section.calibration.model_dump()))

    def _runner(self, made: Made) -> OnnxRunner:
        return OnnxRunner(self._runnable(made), self.bench.threads, fuse=self.section.precision != "fp8")

    def _runnable(self, made: Made) -> onnx.ModelProto:
        """A graph that ONNX Runtime's CPU runs as a GPU would run the typed one."""
        model = load(made.folder / "model.onnx")
        if holds_low_floats(model):
            # It computes FP16 in FP32, and BF16 not at all: what a GPU rounds is rounded in this graph too.
            return EmulatedFromMixed(model)()
        return model

    def _searched(self, base: Base, failed: Typed, search: SearchSection) -> Typed:
        """The variant with few nodes kept in FP32, so that it passes; the failed one if there is no such."""
        step = f"search {self.title}"
        self.bench.tell(Event(self.bench.name, "works", step, "looking for the nodes that lose accuracy"))
        candidates = [each for each in self._suspects(base, failed) if each not in failed.kept.fp32]
        tried = dict[frozenset[str], Typed]()

        def passes(names: frozenset[str]) -> bool:
            try:
                tried[names] = self._attempt(base, failed.kept.with_found(names, self._rest))
            except Unsupported:  # nothing is left that could be of this precision
                return False
            verdict = tried[names].verdict
            return verdict is not None and verdict.passed

        def tell(attempt: Attempt) -> None:
            words = f"attempt {attempt.number}: {attempt.kept} nodes in FP32 {'passed' if attempt.passed else 'failed'}"
            self.bench.tell(Event(self.bench.name, "works", step, words, attempt.number, search.attempts))

        graph = [node.name for node in base.model().graph.node]
        try:
            kept = nodes_to_keep(candidates, passes, limit=search.attempts, graph=graph, tell=tell)
        except GateFailed:
            self.bench.done(step, "keeping all suspicious nodes in FP32 is not enough")
            return failed
        if len(kept) > search.most:
            self.bench.done(step, f"it takes {len(kept)} nodes in FP32, and {search.most} are allowed (search.most)")
            return failed
        self.bench.done(step, f"{len(kept)} nodes kept in FP32 after {len(tried)} attempts")
        return tried[kept]

    def _suspects(self, base: Base, failed: Typed) -> list[str]:
        """The nodes that keeping in FP32 would change, the most suspicious first."""
        data = self.converted.verification
        if data is None:
            return []
        typed = failed.model()
        low = low_nodes(typed)
        found = layer_differences(base.model(), typed, islice(data, _COMPARED))
        return [name for name in suspects(base.model(), found) if name in low]

    def _modelopt(self) -> Path | None:
        python = self.bench.config.modelopt_python
        return self.bench.path(python) if python and self.section.quantiser == "modelopt" else None

    def _failure(self, base: Base, failed: Typed, verdict: Verdict) -> ConversionError:
        data = self.converted.verification
        if data is not None:
            layer = worst_layer(base.model(), failed.model(), islice(data, _COMPARED))
            verdict = replace(verdict, worst_layer=layer)
        return Refused(verdict, self.section.precision).at(model=self.bench.name, step=f"gate {self.title}")

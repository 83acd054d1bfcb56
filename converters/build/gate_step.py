"""The gates: results run on the data that the original was run on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType

from converters.build.cache import Made
from converters.build.config import GateSection, ThresholdsSection
from converters.build.events import StepProgress
from converters.build.inputs import reference_digest
from converters.build.onnx_step import Converted
from converters.build.stored import store, stored
from converters.build.workbench import Workbench
from converters.data.base import Dataset
from converters.errors import GateFailed
from converters.precision.base import Precision
from converters.verify.base import Runner, Verdict
from converters.verify.explain import gate_failed
from converters.verify.gate import Gate, Metric, Thresholds
from converters.verify.judge import default_gate
from converters.verify.reference import Reference
from converters.verify.verify import verify_against


class Refused(GateFailed):
    """A gate that failed, with its verdict for the report."""

    def __init__(self, verdict: Verdict, precision: Precision) -> None:
        told = gate_failed(verdict, precision)
        super().__init__(told.what, hint=told.hint, place=replace(told.place, step=""))
        self.verdict = verdict


class Judge(AbstractContextManager["Judge"]):
    """Judges the results of one model; the original is run at most once, and only if some verdict is not known yet."""

    def __init__(self, bench: Workbench, converted: Converted) -> None:
        self._bench = bench
        self._converted = converted
        self._reference: Reference | None = None

    def verdict(
        self, name: str, result: Made, runner: Callable[[], Runner], gate: Gate, **facts: object
    ) -> tuple[Verdict, bool] | None:
        """What the gate says of a result, and whether that was known already; None without data to verify with.

        Args:
            name: of the step, as people read it.
            result: what is judged.
            runner: starts it.
            gate: its limits.
            facts: what else the verdict depends on, such as the GPU.

        Raises:
            ConversionError: the original or the result cannot be run.
        """
        data = self._converted.verification
        if data is None:
            return None
        made_from = {
            "result": result.digest,
            "original": self._converted.sha256,
            "data": data.digest,
            "gate": asdict(gate),
            "metrics": [reference_digest(metric.function, self._bench.base) for metric in gate.metrics],
            **facts,
        }

        def work(folder: Path, progress: StepProgress) -> None:
            reference = self._original(data, progress)
            ready = runner()
            try:
                store(folder / "verdict.json", verify_against(reference, ready, gate, progress, self._bench.base))
            finally:
                ready.close()

        made = self._bench.step(name, "verdict", made_from, work)
        return stored(made.folder / "verdict.json", Verdict), made.cached

    def accepted(
        self, name: str, result: Made, runner: Callable[[], Runner], section: GateSection | None, precision: Precision,
        **facts: object,
    ) -> Verdict | None:  # fmt: skip
        """The verdict of a result that passed, told; None without data to verify with. Arguments are as above.

        Raises:
            Refused: it did not pass.
            ConversionError: the original or the result cannot be run.
        """
        judged = self.verdict(name, result, runner, gate_of(section, precision), **facts)
        if judged is None:
            return None
        verdict, known = judged
        if not verdict.passed:
            raise Refused(verdict, precision).at(model=self._bench.name, step=name)
        self._bench.done(name, in_short(verdict), cached=known)
        return verdict

    def _original(self, data: Dataset, progress: StepProgress) -> Reference:
        if self._reference is None:
            converted = self._converted
            progress.stage("starting the original")
            runner = converted.original.runner(converted.options)
            try:
                self._reference = Reference(runner, data, progress)
            finally:
                runner.close()
        return self._reference

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reference is not None:
            self._reference.close()


def gate_of(section: GateSection | None, precision: Precision) -> Gate:
    """The configured gate, or the one that fits the precision."""
    if section is None:
        return default_gate(precision)
    return Gate(
        every=_thresholds(section),
        outputs={name: _thresholds(each) for name, each in section.outputs.items()},
        metrics=tuple(Metric(each.function, each.at_least, each.at_most) for each in section.metrics),
    )


def _thresholds(section: ThresholdsSection) -> Thresholds:
    return Thresholds(**{name: getattr(section, name) for name in ThresholdsSection.model_fields})


def in_short(verdict: Verdict) -> str:
    """A verdict in a few words, for the progress."""
    worst = verdict.worst_output
    if worst is None:
        return "no outputs"
    return f"cosine {worst.cosine:.6f}, mean error {worst.mean_rel:.2e} of the mean value ('{worst.name}')"

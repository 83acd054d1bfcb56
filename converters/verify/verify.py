"""Original and result, run on the same data and judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from converters.arrays import Array
from converters.data.base import Dataset
from converters.engines.base import Progress
from converters.errors import ConversionError
from converters.verify.base import Runner, Verdict
from converters.verify.differences import Accumulator, batch_size
from converters.verify.gate import Gate
from converters.verify.judge import check_names, judge
from converters.verify.kept import KeptBatches
from converters.verify.metrics import own_metrics
from converters.verify.reference import Reference, run_batch


def verify(original: Runner, result: Runner, data: Dataset, gate: Gate, progress: Progress) -> Verdict:
    """Run both on all of the data, and judge the result; see `verify_against`."""
    with Reference(original, data, progress) as reference:
        return verify_against(reference, result, gate, progress)


def verify_against(
    reference: Reference, result: Runner, gate: Gate, progress: Progress, base: Path = Path()
) -> Verdict:
    """Run a result on the data that its original was run on, and judge it.

    Args:
        reference: the original's outputs.
        result: what is judged.
        gate: its limits.
        progress: told batch by batch.
        base: the folder that the paths of the gate's metrics are relative to.

    Raises:
        ConfigError: the gate names an output or a function that is not there.
        BadData: the result does not take the data.
        ConversionError: the result lacks an output, or a user's metric failed.
    """
    own = own_metrics(gate.metrics, base)
    check_names(gate, list(reference.scales))
    with ExitStack() as stack:
        # Metrics see all batches at once; without them only one is in memory.
        inputs, outputs = stack.enter_context(KeptBatches()), stack.enter_context(KeptBatches())
        accumulators = {name: Accumulator(name, scale) for name, scale in reference.scales.items()}
        progress.stage("run the result", reference.batches)
        for number, (feeds, expected) in enumerate(zip(reference.data, reference.outputs, strict=True), start=1):
            actual = _complete(run_batch(result, feeds, number, reference.data), list(accumulators))
            for name, accumulator in accumulators.items():
                accumulator.add(expected[name], actual[name], batch_size(feeds))
            if own:
                inputs.append(feeds)
                outputs.append(actual)
            progress.step(number)
        metrics = {metric.metric.function: metric(reference.outputs, outputs, inputs) for metric in own}
    differences = tuple(accumulator.difference() for accumulator in accumulators.values())
    mismatches = [mismatch for accumulator in accumulators.values() if (mismatch := accumulator.mismatch())]
    failures = judge(differences, metrics, gate, mismatches)
    return Verdict(
        passed=not failures,
        batches=reference.batches,
        samples=reference.samples,
        original=reference.name,
        result=result.name,
        outputs=differences,
        metrics=metrics,
        failures=failures,
    )


def _complete(actual: Mapping[str, Array], names: Sequence[str]) -> Mapping[str, Array]:
    if missing := [name for name in names if name not in actual]:
        raise ConversionError(
            f"the result has no output {', '.join(missing)}, which the original has",
            hint=f"it has {', '.join(sorted(actual)) or 'none'}; keep the outputs' names when it is converted",
        )
    return actual

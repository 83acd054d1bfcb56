"""How fast a variant is beside the FP32 model, for the report: both in ONNX Runtime, taking turns in one run."""

from __future__ import annotations

from pathlib import Path

from converters.bench.measure import bench
from converters.bench.result import BenchOptions
from converters.bench.variants import onnx_variant
from converters.build.cache import Made
from converters.build.events import StepProgress
from converters.build.onnx_step import Converted
from converters.build.results import Latency
from converters.build.stored import store, stored
from converters.build.tools import versions
from converters.build.variant_step import VariantStep
from converters.build.workbench import Workbench
from converters.errors import ConversionError
from converters.machine import Machine

_ROUNDS = 6
_SLICE_SECONDS = 0.1
_RUNNABLE = ("fp32", "int8")
"""FP16 and BF16 are no faster on a CPU, which computes them in FP32 or not at all: there is nothing to tell."""


def latency(work_bench: Workbench, converted: Converted, variant: VariantStep, typed: Made) -> Latency | None:
    """A variant's latency beside the FP32 model's; None where that says nothing or there is no data."""
    data = converted.verification
    section = variant.section
    mixed = variant.served_by == "tensorrt" and section.rest != "fp32"
    if data is None or section.precision not in _RUNNABLE or mixed or typed.digest == converted.made.digest:
        return None
    made_from = {
        "before": converted.made.digest,
        "after": typed.digest,
        "processor": Machine.here().processor,
        "threads": work_bench.threads,
        "tools": versions(("onnxruntime",)),
    }

    def work(folder: Path, progress: StepProgress) -> None:
        feeds = next(iter(data))
        size = len(next(iter(feeds.values())))
        variants = [
            onnx_variant("before", converted.made.folder / "model.onnx", work_bench.threads),
            onnx_variant("after", typed.folder / "model.onnx", work_bench.threads),
        ]
        options = BenchOptions(feeds, batch_sizes=(size,), rounds=_ROUNDS, slice_seconds=_SLICE_SECONDS)
        result = bench(variants, options, progress)
        if len(result.measurements) < len(variants):
            reason = next((each.reason for each in result.not_run), "it could not be run")
            raise ConversionError(reason, hint="set timings: false to leave measuring out")
        before, after = result.measurements
        store(
            folder / "latency.json",
            Latency(result.loaded[0].runner, size, before.p50_ms, after.p50_ms, before.cpu_ms, after.cpu_ms),
        )

    made = work_bench.step(f"timing {variant.title}", "latency", made_from, work)
    measured = stored(made.folder / "latency.json", Latency)
    work_bench.done(
        f"timing {variant.title}", f"{measured.speedup:.2f} times as fast in ONNX Runtime", cached=made.cached
    )
    return measured

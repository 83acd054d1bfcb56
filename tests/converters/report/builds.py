"""Results of builds, made by hand: good ones, bad ones, and ones with names that want to be markup."""

from __future__ import annotations

import math

from converters.build.results import BuildResult, Built, Latency, ModelResult, Problem, Step, VariantResult
from converters.verify.base import Failure, Histogram, LayerDifference, OutputDifference, Verdict

HOSTILE = "<script>alert('|`*_x_*`|')</script>\x07&\nb"
EDGES = (0.0, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
NOT_RUN = "engine built and checked for validity, not run: no GPU of its kind here; the ONNX it was built from passed"


def output(name: str = "scores", mean_rel: float = 0.02, bad: int = 0) -> OutputDifference:
    counts = (0, 0, 0, 0, 0, 5, 10, 40, 9, 0)
    return OutputDifference(name, 0.02, 0.004, 0.5, mean_rel, 0.9987, 0.984, None, bad, Histogram(EDGES, counts))


def unknown(name: str = "lost") -> OutputDifference:
    """An output of which nothing could be compared."""
    nan = math.nan
    return OutputDifference(name, math.inf, nan, nan, nan, nan, nan, None, 7, Histogram(EDGES, (0,) * 10))


def verdict(*outputs: OutputDifference, **metrics: float) -> Verdict:
    return Verdict(True, 2, 16, "tensorflow 2.21.0", "onnxruntime 1.31.1", outputs or (output(),), metrics)


def refusal(*outputs: OutputDifference) -> Verdict:
    return Verdict(
        passed=False,
        batches=2,
        samples=16,
        original="tensorflow 2.21.0",
        result="onnxruntime 1.31.1",
        outputs=outputs or (output(), unknown()),
        failures=(Failure("scores", "cosine", 0.9, 0.98), *(Failure("lost", "nan", 7, 0),) * 8),
        worst_layer=LayerDifference("block/MatMul_1", "MatMul", "block/MatMul_1:0", 0.31, 0.3),
    )


def problem(kind: str = "Refused", step: str = "gate int8") -> Problem:
    return Problem(kind, step, "block/MatMul_1 (MatMul)", "it is not as good as the original", "give more data")


def engine(**changes: object) -> Built:
    facts: dict[str, object] = {
        "target": "rtx",
        "builder": "tensorrt_rtx",
        "version": "1.7.1",
        "compute_capabilities": (75, 120),
        "files": {"model.plan": 6_100_000},
        "seconds": 31.2,
        "published": "minilm_fp16_rtx/3",
        "new": True,
        "warnings": ("a weight is subnormal",),
    }
    return Built(**{**facts, **changes})  # type: ignore[arg-type]


def onnx(**changes: object) -> Built:
    facts: dict[str, object] = {
        "target": "cpu",
        "builder": "onnxruntime",
        "version": "1.31.1",
        "files": {"model.onnx": 5_000_000},
        "cached": True,
        "published": "minilm_int8_cpu/2",
    }
    return Built(**{**facts, **changes})  # type: ignore[arg-type]


def passing() -> ModelResult:
    latency = Latency("onnxruntime 1.31.1", 8, 12.0, 8.0, 24.0, 15.0)
    return ModelResult(
        name="minilm",
        source="models/minilm.py:encoder",
        kind="factory",
        sha256="ab" * 32,
        opset=18,
        bytes_before=21_000_000,
        verdict=verdict(),
        variants=(
            VariantResult(
                "fp16", "fp16", (), 10_500_000, verdict(ranking=0.99), None, (engine(),),
                (Step("fp16", 1.0, True), Step("gate fp16", 2.0, True), Step("engine fp16 rtx", 31.5, False)),
            ),
            VariantResult("int8", "int8", ("first", "last"), 5_000_000, verdict(), latency, (onnx(),)),
        ),
        steps=(Step("to ONNX", 4.0, True), Step("gate onnx", 0.5, False)),
        seconds=48.5,
        peak_mib=1830,
    )  # fmt: skip


def failing() -> ModelResult:
    broken = engine(published="", new=False, warnings=(), problem=problem("Unsupported", "engine fp16 rtx"))
    refused = engine(
        target="trt", builder="tensorrt", problem=problem(step="gate fp16 trt"), verdict=refusal(), published=""
    )
    return ModelResult(
        "detector",
        "models/detector.onnx",
        bytes_before=2_000_000,
        verdict=verdict(),
        variants=(
            VariantResult("fp16", "fp16", (), 1_000_000, verdict(), None, (broken, refused)),
            VariantResult("int8", "int8", (), 500_000, refusal(), problem=problem()),
            VariantResult("fp8", "fp8", problem=problem("BadData", "fp8")),
        ),
    )


def broken_model() -> ModelResult:
    wrong = Problem("BadSource", "read ONNX", "", f"{HOSTILE} is no ONNX model", f"export {HOSTILE} again")
    return ModelResult(HOSTILE, HOSTILE, problem=wrong)


def hostile() -> ModelResult:
    """Everything that comes from outside is hostile."""
    difference = verdict(output(HOSTILE), **{HOSTILE: 0.5})
    built = engine(target=HOSTILE, builder=HOSTILE, version=HOSTILE, published=HOSTILE, warnings=(HOSTILE,))
    variant = VariantResult(HOSTILE, HOSTILE, (HOSTILE,), 5, difference, None, (built,), (Step(HOSTILE, 1.0, True),))
    return ModelResult(HOSTILE, HOSTILE, HOSTILE, HOSTILE, 18, 9, difference, (variant,), (Step(HOSTILE, 1.0, False),))


def unverified() -> ModelResult:
    """No data to verify with, and nothing measured."""
    built = engine(published="")
    variant = VariantResult("fp16", "fp16", bytes_after=10, built=(built, onnx(verdict=None, published="")))
    return ModelResult("unverified", "model.onnx", variants=(variant,))


def result(*models: ModelResult) -> BuildResult:
    versions = {"onnx": "1.23.2", "onnxruntime": "1.31.1"} if models else {}
    return BuildResult("2026-11-21T16:20:37+00:00", 203.4, "A CPU, 2 cores", versions, models)


def everything() -> BuildResult:
    return result(passing(), failing(), broken_model(), hostile(), unverified())

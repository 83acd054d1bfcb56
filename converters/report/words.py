"""Figures and findings in words that every report uses, so that all of them say the same."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from converters.build.results import Built, Latency, VariantResult

NOTHING = "\N{EN DASH}"
ONNX_RUNTIME = "onnxruntime"
_NOT_FOR_PEOPLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_UNITS = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def clean(text: str) -> str:
    """Text without what neither XML nor HTML may hold: control characters and halves of surrogate pairs."""
    return _NOT_FOR_PEOPLE.sub("", text)


def size(count: float) -> str:
    """Bytes, such as `5.3 MB`; of 0, which stands for unknown, a dash."""
    if count <= 0:
        return NOTHING
    for unit, name in _UNITS:
        if count >= unit:
            return f"{count / unit:.1f} {name}" if count < 100 * unit else f"{count / unit:.0f} {name}"
    return f"{count:.0f} B"


def duration(seconds: float) -> str:
    """Seconds, such as `2.7 s` or `3 min 20 s`."""
    if not math.isfinite(seconds):
        return NOTHING
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds >= 0.05 or seconds == 0 else f"{1000 * seconds:.0f} ms"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def figure(value: float | None) -> str:
    """A measured value in three digits."""
    if value is None:
        return NOTHING
    if math.isnan(value):
        return "NaN"
    return f"{value:.3g}" if math.isfinite(value) else "infinite"


def cosine(value: float) -> str:
    """A cosine; one that is not 1 is never rounded up to it."""
    if not math.isfinite(value):
        return figure(value)
    return f"{math.floor(value * 1e6) / 1e6:.6f}" if value < 1 - 1e-9 else "1.000000"


def share(value: float | None) -> str:
    """A share in percent; one that is not all is never rounded up to 100 %."""
    if value is None or not math.isfinite(value):
        return figure(value)
    percent = math.floor(value * 1e4) / 100
    return f"{percent:g} %" if percent or not value else "below 0.01 %"


def smaller(before: float, after: float) -> str:
    """How the size changed, such as `1.86x smaller`."""
    if before <= 0 or after <= 0:
        return NOTHING
    if after <= before:
        return f"{before / after:.2f}x smaller"
    return f"{after / before:.2f}x larger"


def speedup(latency: Latency | None) -> str:
    """How many times as fast, such as `1.52x`; a dash where nothing was measured."""
    if latency is None or not (latency.after_ms > 0 and latency.before_ms > 0):
        return NOTHING
    return f"{latency.speedup:.2f}x"


def milliseconds(value: float) -> str:
    """A latency, such as `1.23 ms`."""
    return f"{figure(value)} ms"


def count(number: int, noun: str) -> str:
    """Such as `1 model` or `2 models`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def capabilities(values: Sequence[int]) -> str:
    """Compute capabilities as NVIDIA's tools write them."""
    return ", ".join(f"sm_{value}" for value in values)


def status(variant: VariantResult) -> str:
    """`passed`, `failed`, or `not judged` where there was no data to judge it with."""
    if not variant.passed:
        return "failed"
    return "not judged" if variant.verdict is None else "passed"


def is_engine(built: Built) -> bool:
    """Whether it is a plan, and no ONNX model."""
    return built.builder != ONNX_RUNTIME


def latency(variant: VariantResult) -> Latency | None:
    """Of the variant, or of its graph for CPUs where only that was measured."""
    return variant.latency or next((built.latency for built in variant.built if built.latency), None)


def checked_briefly(variant: VariantResult, built: Built) -> str:
    """How a result without a problem was checked, in a few words."""
    if not is_engine(built):
        return "run in ONNX Runtime" if built.verdict or variant.verdict else "not run"
    return "run" if built.ran == "engine" else "built and checked, not run"


def checked(variant: VariantResult, built: Built) -> str:
    """How a result without a problem was checked: plain about what was not run."""
    if not is_engine(built):
        judged = built.verdict or variant.verdict
        return "run in ONNX Runtime; its gate passed" if judged else "not run: there is no verification data"
    if built.ran == "engine":
        return "engine run here; its gate passed"
    start = "engine built and checked for validity, not run"
    if variant.verdict is None:
        return f"{start}: there is no verification data"
    if built.verdict is not None:
        start = "some of its engines were run, and passed; the others were built and checked for validity, not run"
    outcome = "passed" if variant.verdict.passed else "failed"
    return f"{start}: no GPU of its kind here; the ONNX it was built from {outcome}"

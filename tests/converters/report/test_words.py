import math

import pytest

from converters.build.results import Latency, VariantResult
from converters.report import words
from tests.converters.report.builds import NOT_RUN, engine, failing, onnx, passing, refusal, verdict


@pytest.mark.parametrize(
    ("count", "told"),
    [(0, words.NOTHING), (532, "532 B"), (5_300, "5.3 kB"), (540_163, "540 kB"), (5.04e6, "5.0 MB"), (2e9, "2.0 GB")],
)
def test_sizes(count: float, told: str) -> None:
    assert words.size(count) == told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0.0 s"),
        (0.004, "4 ms"),
        (2.71, "2.7 s"),
        (203.4, "3 min 23 s"),
        (3900, "1 h 5 min"),
        (math.nan, words.NOTHING),
    ],
)
def test_durations(seconds: float, told: str) -> None:
    assert words.duration(seconds) == told


def test_figures_that_are_none() -> None:
    assert words.figure(None) == words.NOTHING
    assert words.figure(math.nan) == words.cosine(math.nan) == words.share(math.nan) == "NaN"
    assert words.figure(math.inf) == "infinite"
    assert words.figure(0.0123456) == "0.0123"


def test_what_is_not_perfect_is_not_rounded_up_to_it() -> None:
    assert words.cosine(1.0) == "1.000000"
    assert words.cosine(0.9999999) == "0.999999"
    assert words.share(1.0) == "100 %"
    assert words.share(0.99999) == "99.99 %"
    assert words.share(1e-6) == "below 0.01 %"
    assert words.share(0.0) == "0 %"


def test_ratios() -> None:
    assert words.smaller(100, 50) == "2.00x smaller"
    assert words.smaller(50, 100) == "2.00x larger"
    assert words.smaller(0, 100) == words.NOTHING
    assert words.speedup(Latency("x", 1, 3.0, 2.0, 0, 0)) == "1.50x"
    assert words.speedup(Latency("x", 1, 3.0, 0.0, 0, 0)) == words.NOTHING
    assert words.speedup(Latency("x", 1, math.nan, 2.0, 0, 0)) == words.NOTHING
    assert words.speedup(None) == words.NOTHING


def test_control_characters_are_left_out() -> None:
    assert words.clean("a\x00b\x1b[0m\ud800c\ud7ffü\U0001f600\n") == "ab[0mc\ud7ffü\U0001f600\n"


def test_an_engine_that_was_not_run_is_told_plainly() -> None:
    variant = passing().variants[0]
    assert words.checked(variant, engine()) == NOT_RUN
    assert words.checked(variant, engine(ran="engine", verdict=verdict())) == "engine run here; its gate passed"
    assert words.checked(VariantResult("fp16", "fp16"), engine()).endswith("not run: there is no verification data")
    assert words.checked(variant, engine(verdict=verdict())).startswith("some of its engines were run")
    assert words.checked(VariantResult("int8", "int8", verdict=refusal()), engine()).endswith("built from failed")
    assert words.checked(variant, onnx()) == "run in ONNX Runtime; its gate passed"
    assert words.checked(VariantResult("int8", "int8"), onnx()) == "not run: there is no verification data"


def test_status() -> None:
    assert words.status(passing().variants[0]) == "passed"
    assert words.status(failing().variants[0]) == "failed"
    assert words.status(VariantResult("fp16", "fp16")) == "not judged"

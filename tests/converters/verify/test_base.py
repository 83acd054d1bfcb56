from __future__ import annotations

from dataclasses import replace

from converters.verify.base import Failure, Histogram, OutputDifference, Verdict

SMALL = OutputDifference("small", 0.1, 0.1, 0.1, 0.1, 0.9, None, None, 0, Histogram((0.0, 1.0), (1,)))


def test_failure_reads_as_a_sentence() -> None:
    assert str(Failure("y", "cosine", 0.5, 0.98)) == "output 'y': cosine is 0.5, and 0.98 is the limit"
    assert str(Failure("", "own:rank", 0.25, 0.5)) == "own:rank is 0.25, and 0.5 is the limit"


def test_worst_output_is_the_one_with_nan_and_then_the_one_with_the_largest_error() -> None:
    large = replace(SMALL, name="large", mean_rel=0.5)
    broken = replace(SMALL, name="broken", bad=1, mean_rel=0.0)

    def worst(*outputs: OutputDifference) -> OutputDifference | None:
        return Verdict(True, 1, 1, "a", "b", outputs).worst_output

    assert worst(SMALL, large) is large
    assert worst(SMALL, large, broken) is broken
    assert worst() is None

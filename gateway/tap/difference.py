"""What comes of a comparison, apart from how it is made: reports are read without what that takes."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Verdict = Literal["agreed", "differed", "unreadable"]


class OutputDifference(Struct, frozen=True):
    """How far one output is from what was expected.

    Attributes:
        datatype: of the expected output.
        shape: the same.
        agrees: whether that is near enough; of a function's judgement nothing is known by output.
        elements: how many it has.
        mismatched: how many of them are too far off; of texts, how many are not equal.
        max_error: largest absolute error; None for texts, for what cannot be compared, and in JSON for infinite.
        mean_error: mean absolute error of those that are finite.
        cosine: cosine similarity.
        top1: share of the rows whose top class is the expected one; None where there are no classes.
        reason: what is wrong; empty for nothing.
    """

    datatype: str
    shape: tuple[int, ...]
    agrees: bool
    elements: int = 0
    mismatched: int = 0
    max_error: float | None = None
    mean_error: float | None = None
    cosine: float | None = None
    top1: float | None = None
    reason: str = ""


class Difference(Struct, frozen=True):
    """What came of a comparison.

    Attributes:
        verdict: whether the answers agree; unreadable says nothing about the candidate.
        reason: why they do not; empty if they do.
        error: how bad it is, 0 for not at all, infinite for what no number tells: the largest error, 1 - cosine,
            1 - share of the top classes, or 1 - what the function said, as the section judges by.
        outputs: by name.
    """

    verdict: Verdict
    reason: str = ""
    error: float = 0.0
    outputs: dict[str, OutputDifference] = {}

    @property
    def agrees(self) -> bool:
        """Whether the answers agree."""
        return self.verdict == "agreed"

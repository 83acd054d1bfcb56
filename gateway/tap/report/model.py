"""What a report holds: one JSON file for each pair, which the tap process writes and everybody else reads.

What counts is mutable, since `gateway/tap/tally.py` counts in it. Times are seconds since 1970. An error that is
None is infinite: an answer that was an error, a number that is none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from gateway.core.errors import GatewayError
from gateway.tap.difference import OutputDifference

FORMAT = 1
REPORT = "report.json"


class Damaged(GatewayError):
    """A file is no report that this version reads."""


class Side(Struct, frozen=True):
    """Who answered: the name of the target, the model, and its version as it was asked for (empty: any)."""

    target: str = ""
    model: str = ""
    version: str = ""

    def __str__(self) -> str:
        """The model with its version, for people."""
        return f"{self.model} version {self.version}" if self.version else self.model


class Counts(Struct):
    """Comparisons by what came of them."""

    agreed: int = 0
    differed: int = 0
    unreadable: int = 0

    @property
    def compared(self) -> int:
        """Those that say something about the candidate."""
        return self.agreed + self.differed

    @property
    def agreement(self) -> float | None:
        """The share that agreed, from 0 to 1; None if nothing was compared."""
        return self.agreed / self.compared if self.compared else None


class Timeline(Struct):
    """Counts over time.

    Attributes:
        width: of a period, in seconds.
        periods: by the number of widths from 1970 to their beginning; those without any comparison are not there.
    """

    width: int = 10
    periods: dict[int, Counts] = {}


class OutputStatistics(Struct):
    """How far one output was off.

    Attributes:
        datatype: as it was last.
        shape: the same.
        compared: in how many answers.
        differed: in how many of them it was too far off.
        elements: in all these answers.
        mismatched: how many of them were too far off.
        exact: answers whose largest error was 0.
        infinite: answers in which a number was none, or infinite, where another was expected.
        errors: the other answers by their largest absolute error, in bins of `tally.error_bin`.
        max_error: the largest finite error; None if there is none.
        error_sum: of the answers' mean errors.
        measured: how many answers `error_sum` and `cosine_sum` are of.
        cosine_sum: of the answers' cosine similarities.
        cosine_least: the least of them.
        top1_sum: of the shares of rows whose top class was the expected one.
        top1_of: how many answers that is of.
    """

    datatype: str
    shape: tuple[int, ...]
    compared: int = 0
    differed: int = 0
    elements: int = 0
    mismatched: int = 0
    exact: int = 0
    infinite: int = 0
    errors: dict[int, int] = {}
    max_error: float | None = None
    error_sum: float = 0.0
    measured: int = 0
    cosine_sum: float = 0.0
    cosine_least: float | None = None
    top1_sum: float = 0.0
    top1_of: int = 0

    @property
    def mean_error(self) -> float | None:
        """Mean of the answers' mean errors."""
        return self.error_sum / self.measured if self.measured else None

    @property
    def cosine(self) -> float | None:
        """Mean of the answers' cosine similarities."""
        return self.cosine_sum / self.measured if self.measured else None

    @property
    def top1(self) -> float | None:
        """Mean share of rows whose top class was the expected one."""
        return self.top1_sum / self.top1_of if self.top1_of else None


class Case(Struct, frozen=True):
    """One of the worst comparisons.

    Attributes:
        arrived: when the request did.
        request_id: its name.
        error: how bad it was; None for infinite.
        verdict: whether the answers agree.
        reason: why they do not.
        seconds: how long baseline and candidate took.
        outputs: how far they were off, of no more than some.
    """

    arrived: float
    request_id: str
    error: float | None
    verdict: str
    reason: str
    seconds: tuple[float, float]
    outputs: dict[str, OutputDifference] = {}


class Report(Struct):
    """All that is known about one pair.

    Attributes:
        route: its name.
        mirror: the pair's name below the route.
        settings: when answers agree: what the section `compare` says.
        baseline: who gave the expected answers, the last time.
        candidate: who gave the others.
        first: when the first request arrived that was compared; None before that.
        last: the same of the last.
        counts: all comparisons.
        failed: how many differed because one of both failed.
        timeline: all comparisons over time.
        outputs: by name; no more than some.
        baseline_latency: of requests that both answered, in bins of `gateway/traffic/latency.py`.
        candidate_latency: the same of the candidate.
        worst: the worst first.
        problems: how often answers failed or could not be read, by what was said; no more than some.
        kept: requests that are kept for a replay.
        replayed: whether the candidate was asked by a replay, and not with copies beside the baseline.
    """

    route: str
    mirror: str
    settings: dict[str, Any]
    baseline: Side = Side()
    candidate: Side = Side()
    first: float | None = None
    last: float | None = None
    counts: Counts = msgspec.field(default_factory=Counts)
    failed: int = 0
    timeline: Timeline = msgspec.field(default_factory=Timeline)
    outputs: dict[str, OutputStatistics] = {}
    baseline_latency: dict[int, int] = {}
    candidate_latency: dict[int, int] = {}
    worst: list[Case] = []
    problems: dict[str, int] = {}
    kept: int = 0
    replayed: bool = False
    format: int = FORMAT

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON has it."""
        told: dict[str, Any] = msgspec.json.decode(self.encoded())
        return told

    def encoded(self) -> bytes:
        """The same as JSON."""
        return msgspec.json.encode(self)

    @classmethod
    def of(cls, told: object) -> Report:
        """Read what `as_dict` gave.

        Raises:
            Damaged: it is no report, or of another format.
        """
        return cls.decoded(msgspec.json.encode(told))

    @classmethod
    def decoded(cls, text: bytes) -> Report:
        """Read what `encoded` gave.

        Raises:
            Damaged: it is no report, or of another format.
        """
        try:
            report = msgspec.json.decode(text, type=cls)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Damaged(f"it is no report of a comparison: {error}") from None
        if report.format != FORMAT:
            raise Damaged(f"it is a report of format {report.format}, and this version reads {FORMAT}")
        return report


def place_of(folder: Path, route: str, mirror: str) -> Path:
    """The folder of a pair; whatever its names are, it is below `folder`."""
    return folder / file_name(route) / file_name(mirror)


def make_place(folder: Path) -> None:
    """Make a pair's folder, and the one of its route, both for our own user alone.

    Raises:
        OSError: one cannot be made.
    """
    for each in (folder.parent, folder):
        each.mkdir(0o700, parents=True, exist_ok=True)


def file_name(name: str) -> str:
    """A name of a file for any name of something else, which another name does not have."""
    quoted = quote(name, safe="~")
    return f"%2E{quoted[1:]}" if quoted.startswith(".") else quoted or "%"

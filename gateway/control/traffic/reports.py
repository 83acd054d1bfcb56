"""What data workers and the tap have counted, as one count: through the end of any of these processes.

A process counts from its start, and names its `life`. What a life that ended has counted last stays counted.
Counts are nested: a mapping of names to numbers, or to such mappings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

Counts: TypeAlias = dict[str, Any]

_MOST_LIVES = 600  # more than twice as many as there can be workers


def added(parts: Iterable[Mapping[str, Any]]) -> Counts:
    """The sum of counts, name by name."""
    total: Counts = {}
    for part in parts:
        for name, value in part.items():
            if isinstance(value, Mapping):
                total[name] = added((total.get(name) or {}, value))
            else:
                total[name] = total.get(name, 0) + value
    return total


def size(counts: Mapping[str, Any]) -> int:
    """The sum of all numbers."""
    return sum(size(value) if isinstance(value, Mapping) else value for value in counts.values())


class Tally:
    """The counts of one thing by all processes.

    Args:
        counted: what `as_dict` gave.
    """

    def __init__(self, counted: Mapping[str, Any] | None = None) -> None:
        known = counted or {}
        self._ended: Counts = dict(known.get("ended") or {})
        self._lives: dict[str, Counts] = {life: dict(counts) for life, counts in (known.get("lives") or {}).items()}
        self._sum: Counts | None = None  # of all, until something is heard: histograms take a while to add

    def hear(self, life: str, counts: Counts) -> None:
        """Take what a life has counted until now, in place of what it said before."""
        self._sum = None
        self._lives.pop(life, None)
        self._lives[life] = counts
        if len(self._lives) > _MOST_LIVES:
            self._end(next(iter(self._lives)))  # the one that was silent for longest

    def hear_window(self, life: str, counts: Counts) -> None:
        """The same where a life may begin anew to count: what it had counted stays counted, for each kind of count.

        But for the variants: a worker begins anew with them when the last one has settled, and what was before is of
        another time, with which nothing is to be compared.
        """
        before = {kind: of for kind, of in self._lives.get(life, {}).items() if kind != "variants"}
        ended = {kind: of for kind, of in before.items() if size(counts.get(kind) or {}) < size(of)}
        if ended:
            self._ended = added((self._ended, ended))
        self.hear(life, counts)

    def total(self, *path: str) -> Counts:
        """The sum, or the part of it to which these names lead; not to be changed."""
        if path:
            return added(_part(counts, path) for counts in (self._ended, *self._lives.values()))
        if self._sum is None:
            self._sum = added((self._ended, *self._lives.values()))
        return self._sum

    def as_dict(self) -> Counts:
        """Everything, to go on from."""
        return {"ended": self._ended, "lives": self._lives}

    def _end(self, life: str) -> None:
        self._ended = added((self._ended, self._lives.pop(life)))


def _part(counts: Mapping[str, Any], path: Iterable[str]) -> Mapping[str, Any]:
    for name in path:
        counts = counts.get(name) or {}
    return counts


def totals(report: Mapping[str, Any]) -> Counts:
    """What a worker's or the tap's report has counted since the process began, by route."""
    return {
        **{
            route: {"variants": of["variants"], "mirrors": of["mirrors"]}
            for route, of in report.get("routes", {}).items()
        },
        **{route: {"compared": _plain(of)} for route, of in report.get("comparisons", {}).items()},
    }


def window(report: Mapping[str, Any], route: str, epoch: str) -> Counts | None:
    """What a report has counted of one route since an epoch began; None if it says nothing of that epoch."""
    measured = (report.get("routes", {}).get(route) or {}).get("window")
    if measured and measured["epoch"] == epoch:
        return {"variants": measured["variants"], "mirrors": measured["mirrors"]}
    compared = {
        mirror: {"agreed": found["agreed"], "differed": found["differed"]}
        for mirror, counts in (report.get("comparisons", {}).get(route) or {}).items()
        if (found := counts.get("window")) and found["epoch"] == epoch
    }
    return {"compared": compared} if compared else None


def _plain(mirrors: Mapping[str, Mapping[str, Any]]) -> Counts:
    return {
        mirror: {name: value for name, value in counts.items() if name != "window"}
        for mirror, counts in mirrors.items()
    }

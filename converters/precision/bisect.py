"""Which few nodes must stay in FP32 for a gate to pass, found with as few attempts as can be.

Each attempt converts and runs a model, so attempts are what counts. The candidates come in order of suspicion. First
the shortest beginning of that order that passes is found, by doubling and then halving. Then ever smaller pieces of
it are given back to the low precision, as long as the gate still passes: pieces of the graph, since what must be kept
tends to lie together. Every answer has been tried: none rests on the assumption that keeping more nodes never does
harm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from converters.errors import GateFailed, Place


@dataclass(frozen=True, slots=True)
class Attempt:
    """One conversion that was tried.

    Attributes:
        number: from 1 on.
        kept: how many nodes stayed in FP32.
        passed: whether the gate did.
    """

    number: int
    kept: int
    passed: bool


def nodes_to_keep(
    candidates: Sequence[str],
    passes: Callable[[frozenset[str]], bool],
    *,
    limit: int,
    graph: Sequence[str] = (),
    tell: Callable[[Attempt], None] = lambda _: None,
) -> frozenset[str]:
    """A small set of nodes with which the gate passes when they stay in FP32.

    Args:
        candidates: nodes' names, the most suspicious first. That keeping none of them fails is taken for granted.
        passes: converts with these nodes kept, runs, and says whether the gate passes.
        limit: the most calls of `passes`, at least 1.
        graph: the candidates in the graph's order, which tells what lies together; default: the order of suspicion.
        tell: called after each attempt.

    Returns:
        A set for which `passes` was true: if the limit allowed it, one of which no node can be given back; if it was
        reached before anything better was found, all candidates.

    Raises:
        GateFailed: not even keeping all candidates is enough.
    """
    attempts = _Attempts(passes, limit, tell)
    best = tuple(dict.fromkeys(candidates))
    if not attempts.passed(best):
        raise GateFailed(
            f"the gate fails even with all {len(best)} candidates kept in FP32",
            hint="compare the FP32 model with the original first, or loosen the gate",
            place=Place(step="search"),
        )
    found = frozenset(_shortest_beginning(best, attempts))
    return frozenset(_thinned(tuple(name for name in graph or best if name in found), attempts))


class _Attempts:
    """Counts the attempts, remembers what came of each, and knows when there are no more."""

    def __init__(self, passes: Callable[[frozenset[str]], bool], limit: int, tell: Callable[[Attempt], None]) -> None:
        self._passes = passes
        self._left = max(limit, 1)
        self._tell = tell
        self._known: dict[frozenset[str], bool] = {frozenset(): False}

    @property
    def exhausted(self) -> bool:
        return self._left == 0

    def passed(self, names: Sequence[str]) -> bool:
        """Whether the gate passes with these kept; no, if it is not known and there are no attempts left."""
        kept = frozenset(names)
        if kept not in self._known:
            if self.exhausted:
                return False
            self._left -= 1
            self._known[kept] = self._passes(kept)
            self._tell(Attempt(len(self._known) - 1, len(kept), self._known[kept]))
        return self._known[kept]


def _shortest_beginning(names: tuple[str, ...], attempts: _Attempts) -> tuple[str, ...]:
    """Nearly the shortest beginning of `names`, all of which pass, that passes too; thinning does the rest."""
    failed, passed = 0, len(names)
    size = 1
    while size < passed and not attempts.exhausted:
        if attempts.passed(names[:size]):
            passed = size
        else:
            failed = size
            size *= 2
    while passed - failed > max(1, passed // 8) and not attempts.exhausted:
        middle = (failed + passed) // 2
        if attempts.passed(names[:middle]):
            passed = middle
        else:
            failed = middle
    return names[:passed]


def _thinned(names: tuple[str, ...], attempts: _Attempts) -> tuple[str, ...]:
    """What is left of `names`, which pass, when all that can be is taken away, the last ones first."""
    piece = len(names) // 2
    while piece and not attempts.exhausted:
        end = len(names)
        while end > 0 and not attempts.exhausted:
            rest = names[: max(end - piece, 0)] + names[end:]
            if attempts.passed(rest):
                names = rest
            end -= piece
        piece = piece // 2
    return names

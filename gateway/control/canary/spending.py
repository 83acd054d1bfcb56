"""How much chance of a false alarm each look at each gate may use, so that all of them together stay within one budget.

A canary is looked at again and again: four judged steps, five gates and a dozen looks at each are hundreds of chances
to be unlucky. The section's `false_alarm_percent` is therefore shared out, and a look may call an alarm only if the
p-value is at most its share. The sum of all shares is the budget, so the chance that a candidate like the baseline is
ever taken back is at most that, whatever the tests have to do with each other (Bonferroni's bound).

Over steps: the first judged step has half, the second a quarter and so on (the last two the same): an early step has to
decide with few requests, the later ones have thousands and can afford to be strict.

Over gates: those that are seldom, but decisive, have more; see `_GATES`.

Over looks: each gate is looked at by what it has itself seen, and its looks come when that is 10, 14, 20, 30, 45, 67
and so on, each time half as many again: more often would buy little, as what was seen is nearly the same, and each
look's share would be smaller. After `n` of them n^3 / (n^3 + h^3) of the gate's budget are spent (an alpha-spending
function, by Lan and DeMets). For latencies, which only clients' requests tell, h is 100: most is spent between 50 and
200 of the candidate's requests, which is where a bad candidate should be found, and little on looks before, at which
only one that is altogether broken can be told. Errors and answers that differ are rare, but copies show them too,
which nobody pays for and of which there are many more: h is 1000, unless nothing is copied. Such a function allows
looks at any time, as long as the time does not hang on what was seen, so it is no matter that reports come once a
second and some looks fall out.

An always-valid test (a mixture of likelihood ratios) would allow a look at every request, but pays for infinitely many:
of candidates that are 20 % slower (lognormal latency, sigma 0.45) it finds 78 in 100 within 150 requests where these
looks find 91, with the same budget.
"""

from __future__ import annotations

import math
from collections.abc import Collection

_GROWTH = 1.5  # how many times as much the next look needs
_FIRST = 10  # seen, before which there is none
_GATES = {"errors": 3.0, "p50": 3.0, "p95": 1.0, "p99": 1.0, "agreement": 2.0}
_SERVED, _COPIED = 100, 1000  # seen, when half of a gate's budget is spent: by clients alone, or in copies too
_SEE_COPIES = frozenset({"errors", "agreement"})


def share_of_step(step: int, judged_steps: int) -> float:
    """The part of the whole budget that one of the judged steps may use; all together 1.

    Args:
        step: from 0.
        judged_steps: how many there are.
    """
    last = judged_steps - 1
    return 0.5 ** (min(step, last - 1) + 1) if last > 0 else 1.0


def share_of_gate(gate: str, judged: Collection[str]) -> float:
    """The part of a step's budget that one of the judged gates may use; all together 1."""
    return _GATES[gate] / sum(_GATES[other] for other in judged)


def is_look_due(before: int, now: int) -> bool:
    """Whether a gate is looked at that has seen `now` if it had seen `before` at its last look, 0 if it had none."""
    return now >= _FIRST and now > before and (before < _FIRST or _stage(now) > _stage(before))


def share_of_look(gate: str, before: int, now: int, *, copied: bool) -> float:
    """The part of a gate's budget that a look may use when it has seen `now`, and had seen `before` at the last.

    Args:
        gate: its name.
        before: what it had seen.
        now: what it has seen.
        copied: whether the candidate gets copies; that must not change between looks.
    """
    half = _COPIED if copied and gate in _SEE_COPIES else _SERVED
    return _spent(now, half) - _spent(before, half)


def _stage(seen: int) -> int:
    return math.floor(math.log(seen / 100) / math.log(_GROWTH) + 1e-9)


def _spent(seen: int, half: int) -> float:
    return seen**3 / (seen**3 + half**3)

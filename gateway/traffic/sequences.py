"""Which target each sequence of requests began with, as long as it goes on: its state is there and nowhere else."""

from __future__ import annotations

from collections import OrderedDict

MOST = 100_000
"""Most sequences that are remembered; the one that was idle longest makes room."""


class Sequences:
    """The targets of the sequences under way, bounded in number and in time. It outlives changes of the weights.

    Args:
        idle_seconds: how long one is remembered after its last request.
        most: how many are remembered.
    """

    def __init__(self, idle_seconds: float, most: int = MOST) -> None:
        self.idle_seconds = idle_seconds
        self._most = most
        # Each with the time of its last request; the one idle longest comes first.
        self._targets: OrderedDict[tuple[str, str], tuple[str, float]] = OrderedDict()

    def find(self, route: str, sequence: str, now: float) -> str | None:
        """The name of the target that a sequence of a route began with, if that is remembered; counts as use.

        Args:
            route: the route's name.
            sequence: the sequence's id.
            now: seconds of a monotonic clock.
        """
        self._drop_idle(now)
        found = self._targets.get((route, sequence))
        if found is None:
            return None
        self.remember(route, sequence, found[0], now)
        return found[0]

    def remember(self, route: str, sequence: str, target: str, now: float) -> None:
        """The sequence is at this target from now on."""
        self._drop_idle(now)
        self._targets[route, sequence] = (target, now)
        self._targets.move_to_end((route, sequence))
        if len(self._targets) > self._most:
            self._targets.popitem(last=False)

    def forget(self, route: str, sequence: str) -> None:
        """The sequence is over."""
        self._targets.pop((route, sequence), None)

    def _drop_idle(self, now: float) -> None:
        while self._targets:
            key, (_, used_at) = next(iter(self._targets.items()))
            if now - used_at < self.idle_seconds:
                break
            del self._targets[key]

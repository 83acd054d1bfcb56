"""What one worker counts of its routes: outcomes since it started, and outcomes and latencies since a window began."""

from __future__ import annotations

import secrets
from collections import Counter, defaultdict
from typing import Any, Literal

from gateway.traffic.latency import bin_of
from gateway.traffic.sections import RouteSection, TrafficSection
from gateway.traffic.snapshot import Override, Snapshot

Why = Literal["full", "busy", "broken"]
"""Why a copy was dropped: no room, clients that go first, or a target that cannot be asked."""


class _Outcomes:
    """How requests of one kind went.

    Attributes:
        ok: how many went well.
        failed: how many did not.
        latency: of those that went well, by the bins of `latency.py`.
    """

    __slots__ = ("failed", "latency", "ok")

    def __init__(self) -> None:
        self.ok = self.failed = 0
        self.latency: dict[int, int] = {}

    def add(self, ok: bool, seconds: float | None) -> None:
        """Count one that took `seconds`, if that says anything."""
        if not ok:
            self.failed += 1
        else:
            self.ok += 1
            if seconds is not None:
                number = bin_of(seconds)
                self.latency[number] = self.latency.get(number, 0) + 1

    def counts(self) -> dict[str, Any]:
        return {"ok": self.ok, "failed": self.failed}

    def report(self) -> dict[str, Any]:
        return {**self.counts(), "latency": {str(number): count for number, count in self.latency.items()}}


class _Mirror(_Outcomes):
    """How copies to one mirror went."""

    __slots__ = ("dropped", "timed_out")

    def __init__(self) -> None:
        super().__init__()
        self.timed_out = 0
        self.dropped: Counter[Why] = Counter({"full": 0, "busy": 0, "broken": 0})

    def report(self) -> dict[str, Any]:
        return {**super().report(), "timed_out": self.timed_out, "dropped": dict(self.dropped)}


class _Window:
    """What was counted of one route since an epoch began.

    What is new is slow at first, so the latencies of each variant's first requests are left out. Their counting begins
    for all when the last of them has settled, so that what is compared is of the same time. Outcomes are counted from
    the first request on, as those of copies are: an error says as much then.

    Args:
        epoch: its name.
        settle: the first requests of each variant whose latencies are left out.
    """

    __slots__ = ("epoch", "mirrors", "settle", "unsettled", "variants")

    def __init__(self, epoch: str, settle: int) -> None:
        self.epoch = epoch
        self.settle = settle
        self.unsettled: dict[str, int] = {}
        self.variants: dict[str, _Outcomes] = {}
        self.mirrors: defaultdict[str, _Outcomes] = defaultdict(_Outcomes)

    def add(self, variant: str, ok: bool, seconds: float | None) -> None:
        outcomes = self.variants.get(variant)
        if outcomes is None:
            outcomes = self.variants[variant] = _Outcomes()
            self.unsettled[variant] = self.settle
        left = self.unsettled[variant]
        if left:
            seconds, self.unsettled[variant] = None, left - 1
            if left == 1:
                for each in self.variants.values():
                    each.latency = {}
        outcomes.add(ok, seconds)

    def report(self) -> dict[str, Any]:
        return {
            "epoch": self.epoch,
            "variants": {label: outcomes.report() for label, outcomes in self.variants.items()},
            "mirrors": {label: outcomes.counts() for label, outcomes in self.mirrors.items()},
        }


class _Counted:
    """What was counted of one route."""

    __slots__ = ("mirrors", "variants", "window")

    def __init__(self) -> None:
        self.variants: defaultdict[str, _Outcomes] = defaultdict(_Outcomes)
        self.mirrors: defaultdict[str, _Mirror] = defaultdict(_Mirror)
        self.window: _Window | None = None

    def forget_all_but(self, route: RouteSection) -> None:
        """Keep the variants and mirrors that the route has."""
        variants = {target.label for target in route.targets} or {route.model}
        mirrors = {mirror.label for mirror in route.mirrors}
        mirrors |= {f"{one}~{other}" for one in variants for other in variants} if route.canary is not None else set()
        for label in self.variants.keys() - variants:
            del self.variants[label]
        for label in self.mirrors.keys() - mirrors:
            del self.mirrors[label]

    def report(self) -> dict[str, Any]:
        return {
            "variants": {label: outcomes.counts() for label, outcomes in self.variants.items()},
            "mirrors": {label: mirror.report() for label, mirror in self.mirrors.items()},
            "window": None if self.window is None else self.window.report(),
        }


class Measures:
    """The counts of one worker. Everything here is cheap, because it is done for every request.

    What the configuration does not have is not counted, and what it has no more is forgotten.

    Attributes:
        life: names the life of this worker; counts of another one began at nothing.
    """

    def __init__(self) -> None:
        self.life = secrets.token_hex(8)
        self._revision = 0
        self._section = TrafficSection()
        self._known: dict[str, RouteSection] = {}
        self._counted: dict[str, _Counted] = {}

    def follow(self, section: TrafficSection, snapshot: Snapshot) -> None:
        """Count under this configuration, in the windows of this snapshot; a new epoch begins a window anew."""
        same = section is self._section
        if not same:
            self._section = section
            self._known = {route.label: route for route in section.routes}
            self._counted = {label: counted for label, counted in self._counted.items() if label in self._known}
            for label, counted in self._counted.items():
                counted.forget_all_but(self._known[label])
        for label, override in snapshot.routes.items():
            if override.epoch:
                self._counting(label)
        for label, counted in self._counted.items():
            counted.window = self._window(label, counted.window, snapshot.routes.get(label), same)
        self._revision = snapshot.revision

    def _window(self, label: str, now: _Window | None, override: Override | None, same: bool) -> _Window | None:
        """The window of a route whose window was `now`, under a configuration that is the same as then or is not."""
        if override is None or not override.epoch:
            return None
        if now is not None and now.epoch == override.epoch and same:
            return now
        route = self._known[label]
        if override.of != route.digest:
            return None
        if now is not None and now.epoch == override.epoch:
            return now
        return _Window(override.epoch, route.canary.settle_requests if route.canary is not None else 0)

    def _counting(self, route: str) -> _Counted | None:
        """The counts of a route, which may be its first; None if the configuration does not have it."""
        counted = self._counted.get(route)
        if counted is None and route in self._known:
            counted = self._counted[route] = _Counted()
        return counted

    def served(self, route: str, variant: str, ok: bool, seconds: float | None) -> None:
        """Count a client's request.

        Args:
            route: the route's name.
            variant: the name of the target that answered it.
            ok: whether it went well.
            seconds: how long it took; None where that says nothing, as of a stream.
        """
        counted = self._counted.get(route) or self._counting(route)
        if counted is None:
            return
        outcomes = counted.variants[variant]
        if ok:
            outcomes.ok += 1
        else:
            outcomes.failed += 1
        window = counted.window
        if window is not None:
            window.add(variant, ok, seconds)

    def mirrored(self, route: str, mirror: str, ok: bool, seconds: float) -> None:
        """Count a copy that was answered within `seconds`."""
        counted = self._counting(route)
        if counted is None:
            return
        counted.mirrors[mirror].add(ok, seconds)
        if counted.window is not None:
            counted.window.mirrors[mirror].add(ok, None)

    def mirror_timed_out(self, route: str, mirror: str) -> None:
        """Count a copy that was not answered in time; that says nothing of the answer, so no window has it."""
        counted = self._counting(route)
        if counted is not None:
            counted.mirrors[mirror].timed_out += 1

    def mirror_dropped(self, route: str, mirror: str, why: Why) -> None:
        """Count a copy that was not sent, or not to its end."""
        counted = self._counting(route)
        if counted is not None:
            counted.mirrors[mirror].dropped[why] += 1

    def report(self) -> dict[str, Any]:
        """All that was counted, as JSON has it: the routes on which there was anything."""
        return {
            "life": self.life,
            "revision": self._revision,
            "routes": {
                label: counted.report()
                for label, counted in self._counted.items()
                if counted.variants or counted.mirrors
            },
        }

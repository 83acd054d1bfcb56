"""What control decides of traffic: by hand, by canaries, and so that it is still decided after a restart."""

from __future__ import annotations

import logging
import os
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gateway.control.traffic import state as files
from gateway.control.traffic.aliases import Aliases
from gateway.control.traffic.candidates import Standing, standing
from gateway.control.traffic.refusals import not_there
from gateway.control.traffic.reports import Counts, Tally, totals
from gateway.control.traffic.state import RouteState
from gateway.control.traffic.steering import By, Steered
from gateway.traffic.sections import HUNDRED, RouteSection, TargetSection, TrafficSection
from gateway.traffic.snapshot import Snapshot

_MOST_NEWS = 100
_SAVE_SECONDS = 2.0
_PATIENCE_SECONDS = 5.0
_LOST = "what is decided about traffic is lost at a restart"

_log = logging.getLogger("gateway.traffic")


class News(NamedTuple):
    """A line for people; the numbers rise by one, through restarts too."""

    number: int
    text: str

    def as_dict(self) -> dict[str, Any]:
        """The same, as JSON has it."""
        return self._asdict()


class Traffic:
    """The traffic of a gateway, as control steers it.

    Args:
        section: the configuration.
        state_file: where everything is remembered. Another process that has it is waited for, as it may be about to
            end; if it does not, nothing is remembered.
        now: the time, in seconds since 1970.
        patience: seconds to wait for it, blocking.

    Attributes:
        routes: every route by its name.
        aliases: further names of models.
        news: the last lines for people.
        unsaved: why the file could not be written; empty if it could.
        applied: the revision of the snapshot that each data worker goes by.
    """

    def __init__(
        self,
        section: TrafficSection,
        state_file: Path,
        now: Callable[[], float] = time.time,
        patience: float = _PATIENCE_SECONDS,
    ) -> None:
        self._file, self._now = state_file, now
        self._close: Callable[[], object] = lambda: None
        self.unsaved, self._is_taken, self.news = "", False, list[News]()
        self._remembered = files.Remembered()
        self._claim(patience)
        self._totals, self._heard = Tally(), dict[str, Mapping[str, Any]]()
        self._status: Mapping[str, Any] | None = None
        self._saved_at, self._counted_more = now(), False
        self.routes: dict[str, Steered] = {}
        self.aliases = Aliases(section, self._remembered)
        self.applied: list[int] = []
        self.reconfigure(section)

    @property
    def snapshot(self) -> Snapshot:
        """What data workers are to go by."""
        return self._remembered.snapshot

    def close(self) -> None:
        """Let others have the file."""
        self._close()

    # ---- what it is told

    def reconfigure(self, section: TrafficSection) -> None:
        """Go by another configuration: a route that it changed loses what was decided for it, the others do not."""
        before = {**self._remembered.routes, **{label: route.remembered() for label, route in self._decided_routes()}}
        routes: dict[str, Steered] = {}
        for route in section.routes:
            if route.label not in routes:
                routes[route.label] = self._steered(route, before.pop(route.label, None))
        for label in before:
            self._tell(f"route {label} is not in the configuration any more; what was decided for it is forgotten")
        self.routes = routes
        for line in self.aliases.reconfigure(section):
            self._tell(line)
        self._decided()
        self.tick()

    def hear(self, status: Mapping[str, Any]) -> None:
        """Take what the launcher tells: the reports of the data workers and of the tap, and what is loaded."""
        self._status = status
        workers = [worker["traffic"] for worker in status.get("workers") or () if worker.get("traffic")]
        self.applied = [worker.get("revision", 0) for worker in workers]
        tap = status.get("tap") or {}
        reports = [*workers, tap] if "comparisons" in tap else workers
        for report in reports:
            if report != self._heard.get(report["life"]):
                # The tap's totals are those of its reports on the disk, which it goes on with whenever it starts.
                self._totals.hear("tap" if report is tap else report["life"], totals(report))
                for route in self.routes.values():
                    route.hear(report)
                self._counted_more = True
        self._heard = {report["life"]: report for report in reports}
        if max(self.applied, default=0) > self.snapshot.revision:  # the file was lost, and workers know more
            self._remembered.snapshot = Snapshot(max(self.applied) + 1, self.snapshot.routes, self.snapshot.aliases)
            self._save()

    def tick(self) -> None:
        """Decide about the canaries, as soon as the launcher has told anything; called about twice a second."""
        now = self._now()
        decisions = {} if self._status is None else self._decisions(self._status, now)
        for label, decision in decisions.items():
            if decision:
                self._tell(f"canary {label}: {decision}")
        if any(decisions.values()):
            self._decided()
            return
        has_more = self.unsaved or (self._counted_more and self._has_canaries)
        if has_more and abs(now - self._saved_at) >= _SAVE_SECONDS:
            self._save()

    # ---- what people do

    def set_weights(self, route: str, weights: Mapping[str, float], why: str = "", who: str = "") -> None:
        """Set the weights of a route's targets, in percent; what is left out gets nothing.

        Raises:
            Refused: there are no such route and targets, they do not sum to 100, or the route's canary runs.
        """
        steered = self.route(route)
        self._done(f"route {route}", steered.set_weights(weights, self._by(who, why)), why)

    def switch(self, route: str, target: str, why: str = "", who: str = "") -> None:
        """Send all requests of a route to one target.

        Raises:
            Refused: there are no such route and target, or the route's canary runs.
        """
        self.set_weights(route, {target: HUNDRED}, why, who)

    def rollback(self, route: str, why: str = "", who: str = "") -> None:
        """Have a route's weights as they were before the last change that was not rolled back yet.

        A canary that runs is taken back.

        Raises:
            Refused: there is no such route, or nothing to roll back.
        """
        self._done(f"route {route}", self.route(route).rollback(self._by(who, why)), why)

    def set_alias(self, name: str, to: str, why: str = "", who: str = "") -> None:
        """Have a name mean `NAME` or `NAME/VERSION`.

        Raises:
            Refused: the name cannot be an alias, or cannot mean that.
        """
        self._done(f"alias {name}", self.aliases.set(name, to, self._by(who, why)), why)

    def remove_alias(self, name: str, why: str = "", who: str = "") -> None:
        """Take an alias away, even one of the configuration.

        Raises:
            NotThere: there is none.
        """
        self._done(f"alias {name}", self.aliases.remove(name, self._by(who, why)), why)

    def pause(self, route: str, why: str = "", who: str = "") -> None:
        """Have a canary stay where it is. Raises Refused, as do all of these, where there is none or it cannot."""
        self._operate("pause", route, why, who)

    def resume(self, route: str, why: str = "", who: str = "") -> None:
        """Have a paused canary go on."""
        self._operate("resume", route, why, who)

    def abort(self, route: str, why: str = "", who: str = "") -> None:
        """Take a canary back: everything goes to the baseline."""
        self._operate("abort", route, why, who)

    def promote(self, route: str, why: str = "", who: str = "") -> None:
        """Have a canary take its next step now."""
        self._operate("promote", route, why, who)

    def restart(self, route: str, why: str = "", who: str = "") -> None:
        """Have a canary begin again."""
        self._operate("restart", route, why, who)
        self.tick()  # begins at once if the candidate is loaded

    # ---- what is asked

    def route(self, name: str) -> Steered:
        """One route.

        Raises:
            NotThere: there is none of this name; the message says which was probably meant.
        """
        if name not in self.routes:
            raise not_there("route", name, self.routes)
        return self.routes[name]

    def totals(self, route: str) -> Counts:
        """What was counted of a route since the processes started, as their reports have it."""
        return self._totals.total(route)

    # ---- how it is done

    def _decisions(self, status: Mapping[str, Any], now: float) -> dict[str, str | None]:
        def candidate(target: TargetSection) -> Standing:
            return standing(target, status.get("repository"), status.get("upstreams") or ())

        return {label: route.decide(candidate, now) for label, route in self.routes.items()}

    @property
    def _has_canaries(self) -> bool:
        """Whether one is under way."""
        return any(route.canary is not None and route.canary.is_under_way for route in self.routes.values())

    def _decided_routes(self) -> Iterator[tuple[str, Steered]]:
        return ((label, route) for label, route in self.routes.items() if route.is_decided)

    def _steered(self, section: RouteSection, state: RouteState | None) -> Steered:
        """A route with what is remembered of it, where that was decided for this very section."""
        now, label = self._now(), section.label
        if state is not None and state.of == section.digest:
            if label in self.routes:
                return self.routes[label]
            try:
                return Steered(section, state, now)
            except ValueError as error:
                self._tell(f"route {label}: what was decided for it cannot be understood ({error}) and is forgotten")
        elif state is not None:
            self._tell(f"route {label}: its configuration has changed and holds; what was decided for it is forgotten")
        return Steered(section, None, now)

    def _operate(self, verb: str, route: str, why: str, who: str) -> None:
        self._done(f"canary {route}", self.route(route).operate(verb, self._by(who, why)), why)

    def _by(self, who: str, why: str) -> By:
        return By(who, why, self._now())

    def _done(self, on: str, what: str, why: str) -> None:
        self._tell(f"{on}: {what}" + (f" ({why})" if why else ""))
        self._decided()

    def _tell(self, line: str) -> None:
        self._remembered.told += 1
        self.news = [*self.news, News(self._remembered.told, line)][-_MOST_NEWS:]
        _log.info("%s", line)

    def _decided(self) -> None:
        """Have the workers and the file know what holds now."""
        routes = {label: route.override for label, route in self._decided_routes()}
        aliases = self.aliases.by_hand
        if (routes, aliases) != (self.snapshot.routes, self.snapshot.aliases):
            self._remembered.snapshot = Snapshot(self.snapshot.revision + 1, routes, aliases)
        self._save()

    def _claim(self, patience: float) -> None:
        """Have the file, and remember what it says."""
        try:
            descriptor = files.claim(self._file, patience)
        except BlockingIOError:
            self._is_taken, self.unsaved = True, "another gateway uses it"
            self._tell(f"{self._file} is another gateway's: {_LOST}; give each its own `traffic.state_file`")
            return
        except OSError as error:  # where nothing can be written, nobody else writes either
            _log.warning("%s cannot be locked: %s", self._file, error.strerror or error)
        else:
            self._close = weakref.finalize(self, os.close, descriptor)
        self._remembered = files.load(self._file)

    def _save(self) -> None:
        if self._is_taken:
            return
        self._remembered.routes = {label: route.remembered() for label, route in self._decided_routes()}
        try:
            files.save(self._file, self._remembered)
        except OSError as error:
            if not self.unsaved:
                _log.error("%s cannot be written (%s): %s", self._file, error, _LOST)
            self.unsaved = error.strerror or str(error)
        else:
            self.unsaved = ""
        self._saved_at, self._counted_more = self._now(), False

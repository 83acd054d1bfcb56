"""Compares the answers of exchanges, in the tap process, and keeps the reports of all pairs up to date."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from functools import partial
from pathlib import Path
from typing import Any

from gateway.core.errors import ConfigError
from gateway.tap.compare import compare
from gateway.tap.daemon import in_daemon
from gateway.tap.datatypes import Undecodable
from gateway.tap.difference import Difference
from gateway.tap.exchange import Exchange
from gateway.tap.kept import Keep
from gateway.tap.report.model import REPORT, Counts, Damaged, Report, Side, make_place, place_of
from gateway.tap.sections import RedactSection
from gateway.tap.tally import Tally, side_of
from gateway.tap.user_function import UserFunction
from gateway.traffic.mirror_sections import CompareSection
from gateway.traffic.sections import TrafficSection

_log = logging.getLogger("gateway.comparer")

_WRITE_SECONDS = 2.0
_FUNCTION_SECONDS = 30.0
_LARGE = 2**18  # bytes of an exchange that is compared in a thread, so that this process goes on taking others
_BEFORE = "report.previous.json"

Name = tuple[str, str]


class Comparer:
    """Compares what the configuration says, and forgets what it no longer does; reports on the disk stay.

    Args:
        section: the routes, with their mirrors and canaries.
        folder: below it a folder for each route, and in that one for each pair.
        redact: what must not be in requests that are kept.
    """

    def __init__(self, section: TrafficSection, folder: Path, redact: RedactSection) -> None:
        self._folder = folder
        self._pairs: dict[Name, _Pair] = {}
        self._since: dict[Name, Counts] = {}
        self._changed: set[_Pair] = set()
        self._writing: asyncio.Task[None] | None = None
        self._one_at_a_time = asyncio.Lock()
        self.reconfigure(section, redact)

    async def take(self, exchange: Exchange) -> None:
        """Compare the answers of one exchange; one of a pair that is not configured any more is dropped."""
        pair = self._pairs.get((exchange.route, exchange.mirror))
        if pair is None:
            return
        async with self._one_at_a_time:
            await pair.take(exchange)
            self._changed.add(pair)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_soon())

    def reconfigure(self, section: TrafficSection, redact: RedactSection) -> None:
        """Go by another configuration. A pair that is judged in the same way goes on."""
        wanted = pairs_of(section)
        self._pairs = {name: self._pair(name, settings, redact) for name, settings in wanted.items()}

    def status(self) -> dict[str, Any]:
        """How many comparisons had which result, by route and pair."""
        told: dict[str, dict[str, Any]] = {}
        for (route, mirror), pair in self._pairs.items():
            told.setdefault(route, {})[mirror] = pair.tally.status()
        return {"comparisons": told}

    async def aclose(self) -> None:
        """Write the reports that are not written yet."""
        if self._writing is not None:
            self._writing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writing
        async with self._one_at_a_time:
            await self._write()

    def _pair(self, name: Name, settings: CompareSection, redact: RedactSection) -> _Pair:
        known = self._pairs.get(name)
        if known is None or known.settings != settings:
            known = _Pair(name, settings, place_of(self._folder, *name), self._since.setdefault(name, Counts()))
        known.redact(redact)
        return known

    async def _write_soon(self) -> None:
        await asyncio.sleep(_WRITE_SECONDS)
        async with self._one_at_a_time:
            await self._write()

    async def _write(self) -> None:
        while self._changed:
            pair = self._changed.pop()
            await pair.write()


class _Pair:
    """One route and one model whose answers are compared with the route's."""

    def __init__(self, name: Name, settings: CompareSection, folder: Path, since: Counts) -> None:
        self._name, self.settings, self._folder = name, settings, folder
        self._told: set[str] = set()
        self._broken = ""
        self._function: UserFunction | None = None
        if settings.by == "function":
            try:
                self._function = UserFunction(settings.function, settings.least / 100)
            except ConfigError as error:
                self._break(error.message)
        self.tally = Tally(self._start(), since)
        self._keep = Keep(folder, settings.keep, RedactSection(), self.tally.report.counts.differed)

    def redact(self, section: RedactSection) -> None:
        """What must not be in requests that are kept from now on."""
        self._keep.redact = section

    async def take(self, exchange: Exchange) -> None:
        """Compare, count, and perhaps keep."""
        difference = await self._compare(exchange)
        if difference.verdict == "unreadable" and not self._broken:  # which is told already
            self._tell("unreadable", f"an answer could not be compared: {difference.reason}")
        self._notice_another_candidate(exchange)
        self.tally.add(exchange, difference)
        if difference.verdict == "differed" and self.settings.keep:
            try:
                await asyncio.to_thread(self._keep.offer, exchange, difference)
            except (OSError, Undecodable) as error:
                self._tell("keep", f"a request whose answers differ was not kept: {error}")
            self.tally.report.kept = self._keep.count

    async def write(self) -> None:
        """Write the report; one that cannot be written is told once."""
        content = self.tally.report.encoded()
        try:
            await asyncio.to_thread(_write, self._folder, content)
        except OSError as error:
            self._tell("write", f"the report could not be written: {error}")

    async def _compare(self, exchange: Exchange) -> Difference:
        if self._broken:
            return Difference("unreadable", self._broken)
        if self._function is None:
            if exchange.size < _LARGE:
                return compare(exchange, self.settings)
            return await asyncio.to_thread(compare, exchange, self.settings)
        try:
            async with asyncio.timeout(_FUNCTION_SECONDS):
                return await in_daemon(compare, exchange, self.settings, self._function)
        except TimeoutError:
            self._break(
                f"{self._function.reference} took more than {_FUNCTION_SECONDS:g} s, and is not called again "
                "until the configuration changes"
            )
            return Difference("unreadable", self._broken)

    def _start(self) -> Report:
        """The report of before, if it is of the same; otherwise an empty one."""
        settings = self.settings.model_dump(mode="json")
        try:
            report = Report.decoded((self._folder / REPORT).read_bytes())
        except FileNotFoundError:
            report = None
        except (OSError, Damaged) as error:
            self._tell("read", f"the report of before cannot be continued: {error}")
            report = None
        if report is not None and {**report.settings, "keep": None} == {**settings, "keep": None}:
            report.settings = settings
            return report
        return self._anew(settings)

    def _notice_another_candidate(self, exchange: Exchange) -> None:
        """Begin anew when another model answers than the report is of: its figures would say nothing of this one."""
        report = self.tally.report
        if len(exchange.answers) == 2 and report.candidate not in {Side(), side_of(exchange.answers[1])}:
            self.tally.report = self._anew(report.settings)

    def _anew(self, settings: dict[str, Any]) -> Report:
        with contextlib.suppress(OSError):  # there is none, or it is written over
            (self._folder / REPORT).replace(self._folder / _BEFORE)
        return Report(*self._name, settings)

    def _break(self, reason: str) -> None:
        self._broken = reason
        self._tell("function", reason)

    def _tell(self, what: str, message: str) -> None:
        """Log the first problem of a kind; the report counts all."""
        if what not in self._told:
            self._told.add(what)
            _log.error("comparison of route %s with %s: %s", *self._name, message)


def pairs_of(section: TrafficSection) -> dict[Name, CompareSection]:
    """What is compared: by route and pair, when answers agree."""
    found: dict[Name, CompareSection] = {}
    for route in section.routes:
        for mirror in route.mirrors:
            if mirror.compare is not None:
                found[route.label, mirror.label] = mirror.compare
        if route.canary is not None:
            candidate = route.canary.candidate
            [baseline] = [target.label for target in route.targets if target.label != candidate]
            found[route.label, f"{baseline}~{candidate}"] = route.canary.compare
    return found


def _write(folder: Path, content: bytes) -> None:
    """Write a report in one step, for our own user alone: it tells of requests."""
    make_place(folder)
    hidden = folder / f".{REPORT}"
    with open(hidden, "wb", opener=partial(os.open, mode=0o600)) as file:
        file.write(content)
    hidden.replace(folder / REPORT)

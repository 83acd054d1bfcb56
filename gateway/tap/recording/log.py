"""Writes requests into a log: decoded, redacted, gathered into segments, and never more of them than they may be.

`segment.py` defines what is written, `places.py` where to.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.tap.exchange import Exchange
from gateway.tap.recording.cap import surplus
from gateway.tap.recording.places import Kept, Place, place_of
from gateway.tap.recording.redact import redacted
from gateway.tap.recording.segment import Recorded, SegmentName, check, encoded
from gateway.tap.sections import RecordingSection
from gateway.tap.tensors import Undecodable, answer_tensors, request_tensors

_log = logging.getLogger("gateway.recording")

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")  # of a model in a repository of ours
_MOST_HELD = 256 * 2**20  # bytes of tensors that are not written yet
_SEGMENTS = 4  # at least, of what a model may keep, so that the oldest go in small steps
_WRITE_SECONDS = 120.0
_LAST_SECONDS = 10.0  # for what is not written when the process stops
_MOST_TOLD = 1000  # models
_LIST_SECONDS = 60.0  # others may write into the same place, or take away


@dataclass(slots=True)
class _Open:
    """Requests that will be one segment."""

    model: str
    timer: asyncio.TimerHandle
    requests: list[Recorded] = field(default_factory=list)
    bytes: int = 0


@dataclass(slots=True)
class _Shelf:
    """The segments of one model, as they were listed and with what was written since."""

    kept: list[Kept]
    list_at: float


class RecordingLog:
    """One log, as the section says. Made within a running event loop.

    Args:
        section: where to, and how much; it names a folder.
        place: instead of the one that the section names.

    Raises:
        SetupError: there is no such kind of store, or it lacks a setting.
    """

    def __init__(self, section: RecordingSection, place: Place | None = None) -> None:
        self._section = section
        self._place = place or place_of(section.folder or "")
        most = section.most_mib * 2**20
        self._most_bytes = most
        self._segment_bytes = min(section.segment_mib * 2**20, most // _SEGMENTS)
        self._segment_requests = max(1, section.most_requests // _SEGMENTS)
        self._open: dict[str, _Open] = {}
        self._shelves: dict[str, _Shelf] = {}
        self._cut: asyncio.Queue[_Open] = asyncio.Queue()
        self._writer: asyncio.Task[None] | None = None
        self._held = 0
        self._counts = dict.fromkeys(("requests", "bytes", "segments", "dropped", "unreadable"), 0)
        self._told: set[str] = set()
        self._trouble = ""

    async def take(self, exchange: Exchange) -> None:
        """Keep a request, with its answer if the section says so; what cannot be kept is counted. Never raises.

        Args:
            exchange: a request with one answer, both successful inferences.
        """
        if not _SAFE_NAME.fullmatch(exchange.model):
            self._counts["dropped"] += 1
            self._tell(exchange.model, "its name cannot be that of a folder, which is made of letters, digits and ._-")
            return
        try:
            request = redacted(self._decoded(exchange), self._section.redact)
            check(request)
        except Undecodable as error:
            self._counts["unreadable"] += 1
            self._tell(exchange.model, error.message)
            return
        size = request.size
        if self._held and self._held + size > _MOST_HELD:
            self._counts["dropped"] += 1
            return
        self._held += size
        self._gather(exchange.model, request, size)

    async def flush(self) -> None:
        """Write what was taken, and wait until it is."""
        for model in list(self._open):
            self._cut_off(model)
        await self._cut.join()

    def status(self) -> dict[str, Any]:
        """What was written since the start (requests, bytes, segments), and what was not (dropped, unreadable)."""
        return dict(self._counts)

    async def aclose(self) -> None:
        """Write what was taken, within some seconds."""
        try:
            async with asyncio.timeout(_LAST_SECONDS):
                await self.flush()
        except TimeoutError:
            _log.error("what was recorded last was not written to %s in time, and is lost", self._section.folder)
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)

    def _decoded(self, exchange: Exchange) -> Recorded:
        """The exchange as tensors."""
        answer = exchange.answers[0]
        return Recorded(
            model=exchange.model,
            version=exchange.version,
            protocol=exchange.protocol,
            arrived=exchange.arrived,
            request=request_tensors(exchange),
            outputs=answer_tensors(exchange.protocol, answer) if self._section.answers else None,
            request_id=exchange.request_id,
            tenant=exchange.tenant,
            target=answer.target or answer.model,
            seconds=answer.seconds,
        )

    def _gather(self, model: str, request: Recorded, size: int) -> None:
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_all(), name="recording")
        gathered = self._open.get(model)
        if gathered is None:
            timer = asyncio.get_running_loop().call_later(self._section.segment_seconds, self._cut_off, model)
            gathered = self._open[model] = _Open(model, timer)
        gathered.requests.append(request)
        gathered.bytes += size
        if gathered.bytes >= self._segment_bytes or len(gathered.requests) >= self._segment_requests:
            self._cut_off(model)

    def _cut_off(self, model: str) -> None:
        gathered = self._open.pop(model)
        gathered.timer.cancel()
        self._cut.put_nowait(gathered)

    async def _write_all(self) -> None:
        """One segment after the other; what comes meanwhile waits within its bound."""
        while True:
            gathered = await self._cut.get()
            try:
                async with asyncio.timeout(_WRITE_SECONDS):
                    await self._write(gathered.model, gathered.requests)
            except OSError as error:  # a timeout is one too
                self._counts["dropped"] += len(gathered.requests)
                self._turn(str(error) or f"it takes more than {_WRITE_SECONDS:.0f} seconds")
            except Exception:  # of a store's client; the writer has to go on
                _log.exception("a segment could not be written")
                self._counts["dropped"] += len(gathered.requests)
            else:
                self._turn("")
            finally:
                self._held -= gathered.bytes
                self._cut.task_done()

    async def _write(self, model: str, requests: Sequence[Recorded]) -> None:
        tensors, lines = await asyncio.to_thread(encoded, requests)
        new = Kept(SegmentName.of(requests, os.getpid()), len(tensors) + len(lines))
        if new.bytes > self._most_bytes:
            raise OSError(f"requests for {model} of {new.bytes >> 20} MiB are more than recording.most_mib allows")
        shelf = await self._shelf(model)
        gone = surplus([*shelf.kept, new], self._section.most_requests, self._most_bytes)
        if gone:
            await self._place.remove(model, [each.name for each in gone])
            shelf.kept = shelf.kept[len(gone) :]
        await self._place.write(model, new.name, tensors, lines)
        shelf.kept.append(new)
        for name, more in (("requests", len(requests)), ("bytes", new.bytes), ("segments", 1)):
            self._counts[name] += more

    def _turn(self, trouble: str) -> None:
        """Say that writing begins to fail, or works again; not what fails each time."""
        if trouble and not self._trouble:
            _log.error(
                "recording into %s fails: %s; requests are served and not recorded until it works again",
                self._section.folder,
                trouble,
            )
        elif self._trouble and not trouble:
            _log.info("recording into %s works again", self._section.folder)
        self._trouble = trouble

    def _tell(self, model: str, reason: str) -> None:
        """Say once of a model that requests of it are not recorded."""
        if model not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(model)
            _log.warning("not all requests for model %.200r are recorded: %s", model, reason)

    async def _shelf(self, model: str) -> _Shelf:
        shelf = self._shelves.get(model)
        now = time.monotonic()
        if shelf is None or now >= shelf.list_at:
            shelf = self._shelves[model] = _Shelf(await self._place.segments(model), now + _LIST_SECONDS)
        return shelf

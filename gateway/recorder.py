"""Keeps requests without holding up anybody: a bounded queue, and a thread that writes what is in it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import NamedTuple

from gateway.config import RecordingSection
from gateway.core.call import Call
from gateway.recordings import Recordings

_log = logging.getLogger("gateway.recorder")

_MOST_WAITING = 64  # requests
_MOST_WAITING_BYTES = 64 * 2**20  # of their bodies, beside what `limits.max_buffered_bytes` allows
_LAST_SECONDS = 5.0  # for what waits when the gateway stops

Keep = Callable[[RecordingSection, Call, int], None]


class _Offer(NamedTuple):
    section: RecordingSection
    call: Call
    arrived: int


class Recorder:
    """What one worker records; no thread runs before the first request is offered.

    A thread of its own, and not one of the event loop's: a file system that hangs would take those away from others,
    and could keep the process from ending.

    Args:
        keep: writes a request; called in the thread. An OSError ends recording under this section.
    """

    def __init__(self, keep: Keep | None = None) -> None:
        self._keep = keep or Recordings().keep
        self._offers: SimpleQueue[_Offer | None] = SimpleQueue()
        # Each is changed by one side alone, so that neither waits for the other.
        self._bytes_offered = 0
        self._bytes_done = 0
        self._failed: RecordingSection | None = None
        self._thread: Thread | None = None
        self._closed = False

    def offer(self, section: RecordingSection, call: Call, arrived: int) -> None:
        """Have a request written, or drop it if too much waits already. Never waits, never raises.

        Args:
            section: where to, and how many.
            call: the request; one alone always has room.
            arrived: when, in nanoseconds since 1970.
        """
        waiting = self._bytes_offered - self._bytes_done
        if (
            self._closed
            or section is self._failed
            or self._offers.qsize() >= _MOST_WAITING
            or (waiting and waiting + len(call.body) > _MOST_WAITING_BYTES)
        ):
            return
        if self._thread is None:
            self._thread = Thread(target=self._run, name="recorder", daemon=True)
            self._thread.start()
        self._bytes_offered += len(call.body)
        self._offers.put(_Offer(section, call, arrived))

    async def aclose(self) -> None:
        """Take nothing more, and wait some seconds for what is to be written still."""
        self._closed = True
        if self._thread is not None:
            self._offers.put(None)
            await asyncio.to_thread(self._thread.join, _LAST_SECONDS)

    def _run(self) -> None:
        while self._follow(self._offers.get()):
            pass

    def _follow(self, offer: _Offer | None) -> bool:
        """Write one request; its body is let go of before the next is waited for. False at the end."""
        if offer is None:
            return False
        section, call, arrived = offer
        if section is not self._failed:
            try:
                self._keep(section, call, arrived)
            except OSError as error:
                self._failed = section
                _log.error(
                    "recording into %s stops until the configuration changes or the gateway starts again: %s; "
                    "requests are served as before",
                    section.folder,
                    error,
                )
        self._bytes_done += len(call.body)
        return True

"""What becomes of an exchange in the tap process: it is recorded, or its answers are compared."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from gateway.config import Config
from gateway.tap.comparer import Comparer
from gateway.tap.exchange import Exchange
from gateway.tap.recording.log import RecordingLog
from gateway.tap.sections import RecordingSection


class Takers:
    """The log of recorded requests, and the comparison of answers.

    Args:
        config: what is recorded, and how answers are compared.
        reports: the folder for reports of comparisons.
    """

    def __init__(self, config: Config, reports: Path) -> None:
        self._life = secrets.token_hex(8)
        self._comparer = Comparer(config.traffic, reports, config.recording.redact)
        self._section = config.recording
        self._log = _log_of(config.recording)

    async def take(self, exchange: Exchange) -> None:
        """Do what is to be done with an exchange."""
        if exchange.purpose == "compare":
            await self._comparer.take(exchange)
        elif self._log is not None:
            await self._log.take(exchange)

    async def reconfigure(self, config: Config) -> None:
        """Go by another configuration; what was recorded under the old one is written first."""
        self._comparer.reconfigure(config.traffic, config.recording.redact)
        if config.recording != self._section:
            old, self._log = self._log, _log_of(config.recording)
            self._section = config.recording
            if old is not None:
                await old.aclose()

    def status(self) -> dict[str, Any]:
        """How far both are; `life` tells one process from the next."""
        recording = None if self._log is None else self._log.status()
        return {"life": self._life, **self._comparer.status(), "recording": recording}

    async def aclose(self) -> None:
        """Write what is not written yet."""
        await self._comparer.aclose()
        if self._log is not None:
            await self._log.aclose()


def _log_of(section: RecordingSection) -> RecordingLog | None:
    return None if section.folder is None else RecordingLog(section)

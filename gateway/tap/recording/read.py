"""Reads a log in the order in which its requests arrived."""

from __future__ import annotations

import heapq
from collections.abc import AsyncGenerator
from itertools import count

from gateway.core.errors import SetupError
from gateway.tap.recording.places import Place, place_of
from gateway.tap.recording.segment import Damaged, Recorded, SegmentName, decoded

_Segment = tuple[str, SegmentName]


class RecordedLog:
    """The requests of a log. What is being written is not there yet, and what is taken away meanwhile is passed over.

    Args:
        log: a folder, that of a single model, or the URL of an object store.
        model: only requests for this model; empty for all.
        place: instead of the one that `log` names.

    Raises:
        SetupError: there is no such kind of store.
    """

    def __init__(self, log: str, model: str = "", place: Place | None = None) -> None:
        self._log, self._model = log, model
        self._place = place or place_of(log)

    async def count(self) -> int:
        """How many requests there are, without opening any.

        Raises:
            SetupError: the log cannot be read, or there are none.
        """
        return sum(name.requests for _, name in await self._segments())

    async def models(self) -> list[str]:
        """The models that have folders with such requests; "" for segments that lie in the log's own folder.

        Raises:
            SetupError: the log cannot be read, or there are none.
        """
        return sorted({model for model, _ in await self._segments()})

    async def requests(self) -> AsyncGenerator[Recorded, None]:
        """The requests. Segments are opened when their time has come: as a rule one for each model is in memory.

        Raises:
            SetupError: the log cannot be read, has no such requests, or is damaged.
        """
        order = count()
        ahead: list[tuple[int, int, _Segment | Recorded]] = [
            (segment[1].arrived, next(order), segment) for segment in await self._segments()
        ]
        heapq.heapify(ahead)
        while ahead:
            _, _, first = heapq.heappop(ahead)
            if isinstance(first, Recorded):
                yield first
                continue
            for each in await self._opened(first):
                if self._model in {"", each.model}:
                    heapq.heappush(ahead, (each.arrived, next(order), each))

    async def _segments(self) -> list[_Segment]:
        try:
            models = await self._place.models()
            wanted = [model for model in models if model in {"", self._model} or not self._model]
            found = [(model, kept.name) for model in wanted for kept in await self._place.segments(model) if kept.whole]
        except FileNotFoundError:
            raise SetupError(f"there is no log {self._log}; correct the path") from None
        except OSError as error:
            raise SetupError(f"the log {self._log} cannot be read: {error}") from None
        if not found:
            others = ", ".join(filter(None, models))
            what = f"requests for {self._model}{others and f', only for {others}'}" if self._model else "requests"
            raise SetupError(
                f"{self._log} holds no recorded {what}; give what `recording.folder` of the gateway that records says, "
                "and give it `recording.segment_seconds` to write"
            )
        return found

    async def _opened(self, segment: _Segment) -> list[Recorded]:
        model, name = segment
        try:
            return decoded(*await self._place.read(model, name))
        except FileNotFoundError:
            return []  # a gateway that records has just made room
        except OSError as error:
            raise SetupError(f"segment {name} of {self._log} cannot be read: {error}") from None
        except Damaged as damage:
            where = "/".join(filter(None, (self._log.rstrip("/"), model, str(name))))
            raise SetupError(f"{where} is damaged: {damage}; take its two files away, and try again") from None

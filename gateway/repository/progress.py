"""What is going on with each model of a repository before Triton has it: drops that are prepared, and those refused."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from gateway.repository.drops import Drop, Signature, mark

PREPARING, REFUSED = "preparing", "refused"


class NewsKind(StrEnum):
    """What a person may want to hear."""

    DROPPED = "dropped"
    PUBLISHED = "published"
    REFUSED = "refused"
    CHANGED = "changed"
    REMOVED = "removed"
    TROUBLE = "trouble"


@dataclass(frozen=True, slots=True)
class News:
    """One thing that happened to the repository.

    Attributes:
        kind: what happened.
        model: to which model; empty if it concerns the whole repository.
        message: the reason of a refusal, or the version that was published.
        seconds: how long it took.
    """

    kind: NewsKind
    model: str = ""
    message: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """One drop, from when it is noticed until it is published or taken away.

    Attributes:
        drop: the drop.
        signature: its files as they are looked at.
        state: `PREPARING` or `REFUSED`.
        step: what is being done.
        reason: why it was refused.
        since: when it got into this state, in ISO 8601, UTC.
    """

    drop: Drop
    signature: Signature
    state: str
    step: str = ""
    reason: str = ""
    since: str = ""


class Progress:
    """The drops that are there.

    Args:
        on_change: told that `works` is another.
        on_news: told what a person may want to hear.
    """

    def __init__(self, on_change: Callable[[], None], on_news: Callable[[News], None]) -> None:
        self._on_change, self._on_news = on_change, on_news
        self._started: dict[str, float] = {}
        self.works: dict[str, Work] = {}

    def is_known(self, drop: Drop, signature: Signature) -> bool:
        """Whether a drop of this name is being prepared, or this very one was refused already."""
        work = self.works.get(drop.name)
        return work is not None and (work.state == PREPARING or (work.drop, work.signature) == (drop, signature))

    def begin(self, drop: Drop, signature: Signature) -> None:
        """A drop has come to rest."""
        self._started[drop.name] = time.monotonic()
        self._on_news(News(NewsKind.DROPPED, drop.name, drop.source.name))
        self._set(Work(drop, signature, PREPARING, "waiting for its turn", since=_now()))

    def step(self, name: str, step: str) -> None:
        """Something else is being done with it now."""
        self._set(replace(self.works[name], step=step))

    def refused(self, name: str, reason: str) -> None:
        """It is not published, and stays until it is changed or taken away."""
        self._on_news(News(NewsKind.REFUSED, name, reason, self._seconds(name)))
        self._set(replace(self.works[name], state=REFUSED, step="", reason=reason, since=_now()))

    def published(self, name: str, version: int) -> None:
        """It is a version of its model now."""
        self._on_news(News(NewsKind.PUBLISHED, name, str(version), self._seconds(name)))
        self.forget(name)

    def forget(self, name: str) -> None:
        """It is not there any more."""
        self._started.pop(name, None)
        if self.works.pop(name, None):
            self._on_change()

    def tell(self, news: News) -> None:
        """Pass something on that concerns no drop."""
        self._on_news(news)
        self._on_change()

    def as_dict(self, name: str) -> dict[str, Any]:
        """What the status says of a drop; `mark` tells it from an earlier one of the same name."""
        work = self.works[name]
        said = {"state": work.state, "reason": work.reason, "since": work.since, "step": work.step}
        return {**said, "drop": work.drop.source.name, "mark": mark(work.signature)}

    def _set(self, work: Work) -> None:
        self.works[work.drop.name] = work
        self._on_change()

    def _seconds(self, name: str) -> float:
        return time.monotonic() - self._started.pop(name, time.monotonic())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

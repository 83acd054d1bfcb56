"""Which endpoint a sequence of requests belongs to; pure.

A sequence's state lives in the one Triton that got its first request. Where that is follows from the model and the
sequence's id alone (rendezvous hashing), so that several gateways and workers agree without talking; and it is
remembered while the sequence lasts, so that it stays when endpoints come back or are added.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Generic, Protocol, TypeVar

from gateway.core.call import Call

MAX_SEQUENCES = 100_000
"""Most sequences that are remembered; the one that was idle longest makes room."""

Key = tuple[str, str, str]
"""A model's name, a sequence's id, and the target: a model can have sequences of one id in several groups."""


class Named(Protocol):
    """What has a name."""

    @property
    def name(self) -> str:
        """The name."""
        ...


N = TypeVar("N", bound=Named)
E = TypeVar("E")


def key_of(call: Call) -> Key:
    """The sequence that `call` belongs to; it belongs to one."""
    assert call.sequence is not None  # noqa: S101 - the caller has looked
    return call.model, call.sequence.id, call.target


def rank(key: Key, endpoints: Iterable[N]) -> list[N]:
    """`endpoints` in the order in which the sequence prefers them; one that leaves changes nothing for the others."""
    model, number, _ = key

    def weight(endpoint: N) -> bytes:
        text = f"{endpoint.name}\0{model}\0{number}"
        return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()

    return sorted(endpoints, key=weight)


@dataclass(slots=True)
class Home(Generic[E]):
    """Where a sequence lives.

    Attributes:
        endpoint: who holds its state.
        life: which life of the endpoint, because a restarted Triton has forgotten it.
        used_at: when it was last asked for (seconds of the caller's clock).
    """

    endpoint: E
    life: int
    used_at: float


class Homes(Generic[E]):
    """The homes of the sequences that are going on, bounded in number and in time.

    Args:
        idle_seconds: how long one is remembered after its last request.
        most: how many are remembered.
    """

    def __init__(self, idle_seconds: float, most: int = MAX_SEQUENCES) -> None:
        self.idle_seconds = idle_seconds
        self._most = most
        self._homes: OrderedDict[Key, Home[E]] = OrderedDict()  # the one idle longest comes first

    def __len__(self) -> int:
        return len(self._homes)

    def find(self, key: Key, now: float) -> Home[E] | None:
        """Where the sequence lives, if that is remembered; counts as use."""
        self._drop_idle(now)
        home = self._homes.get(key)
        if home is not None:
            home.used_at = now
            self._homes.move_to_end(key)
        return home

    def remember(self, key: Key, endpoint: E, life: int, now: float) -> None:
        """The sequence lives there from now on."""
        self._drop_idle(now)
        self._homes[key] = Home(endpoint, life, now)
        self._homes.move_to_end(key)
        if len(self._homes) > self._most:
            self._homes.popitem(last=False)

    def forget(self, key: Key) -> None:
        """The sequence is over, or lost."""
        self._homes.pop(key, None)

    def _drop_idle(self, now: float) -> None:
        while self._homes:
            key, home = next(iter(self._homes.items()))
            if now - home.used_at < self.idle_seconds:
                break
            del self._homes[key]

"""What can go wrong with a fake Triton, call by call."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.core.call import INFERENCE, Call


@dataclass(frozen=True, slots=True)
class Answer:
    """All is well."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Nobody is there: nothing is sent."""


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection breaks after the request was sent; of a stream, after so many messages to the client."""

    after: int = 0


@dataclass(frozen=True, slots=True)
class Slow:
    """The answer takes this many seconds, or for ever."""

    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Fail:
    """Triton answers with an error of its own."""

    status: int
    message: str = "failed as the script says"


@dataclass(frozen=True, slots=True)
class HalfClose:
    """Triton closes its side instead of answering, and goes on reading."""


@dataclass(frozen=True, slots=True)
class Truncate:
    """The connection is closed after so many bytes of the answer."""

    after: int = 20


@dataclass(frozen=True, slots=True)
class WrongLength:
    """The answer says that it is so many bytes longer than it is, and the connection is closed after it."""

    add: int = 7


Fault = Answer | Refuse | Reset | Slow | Fail | HalfClose | Truncate | WrongLength
Script = Sequence[Fault] | Callable[[Call], Fault]


def follow(script: Script) -> Callable[[Call], Fault]:
    """What happens to each call; a sequence of faults is for inferences alone, so that checks use none of them up."""
    if callable(script):
        return script
    faults = itertools.cycle(script or (Answer(),))
    return lambda call: next(faults) if call.operation in INFERENCE else Answer()

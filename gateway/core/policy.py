"""How policies wrap an upstream: a visible list, folded from the inside out.

There are two verbs, one for calls that have one answer and one for streams, and a policy must have both: what holds
for a request must not be escaped by streaming it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from gateway.core.call import Call, ClientStream, Reply

Next = Callable[[Call], Awaitable[Reply]]
"""What a policy calls to go on: the next policy, or the upstream."""

NextStream = Callable[[Call, ClientStream], Awaitable[Reply]]
"""The same for a stream; it returns when the stream has ended."""


class Policy(Protocol):
    """One concern around a call: look at it, change it, refuse it, or answer it without going on."""

    async def __call__(self, call: Call, proceed: Next) -> Reply:
        """Answer `call`, usually by awaiting `proceed(call)`."""
        ...

    async def stream(self, call: Call, client: ClientStream, proceed: NextStream) -> Reply:
        """Serve the stream `call`, usually by awaiting `proceed(call, client)`."""
        ...


class Innermost(Protocol):
    """What the list of policies wraps: an upstream."""

    async def infer(self, call: Call) -> Reply:
        """Answer `call`."""
        ...

    async def stream(self, call: Call, client: ClientStream) -> Reply:
        """Serve the stream `call`."""
        ...


class Chain(NamedTuple):
    """What a front end calls: the outermost of each verb."""

    infer: Next
    stream: NextStream


def fold(policies: Sequence[Policy], innermost: Innermost) -> Chain:
    """Wrap `innermost` in `policies`; the first of the list is the outermost."""
    infer: Next = innermost.infer
    stream: NextStream = innermost.stream
    for policy in reversed(policies):
        infer = partial(policy, proceed=infer)
        stream = partial(policy.stream, proceed=stream)
    return Chain(infer, stream)

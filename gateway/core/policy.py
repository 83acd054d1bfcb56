"""How policies wrap an upstream: a visible list, folded from the inside out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol

from gateway.core.call import Call, Reply

Next = Callable[[Call], Awaitable[Reply]]
"""What a policy calls to go on: the next policy, or the upstream."""


class Policy(Protocol):
    """One concern around a call: look at it, change it, refuse it, or answer it without going on."""

    async def __call__(self, call: Call, proceed: Next) -> Reply:
        """Answer `call`, usually by awaiting `proceed(call)`."""
        ...


def fold(policies: Sequence[Policy], innermost: Next) -> Next:
    """Wrap `innermost` in `policies`; the first of the list is the outermost."""
    chain = innermost
    for policy in reversed(policies):
        chain = partial(policy, proceed=chain)
    return chain

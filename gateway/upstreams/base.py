"""The one interface of everything that answers calls."""

from __future__ import annotations

from typing import Protocol

from gateway.core.call import Call, Reply


class Upstream(Protocol):
    """A Triton, or something that stands for one."""

    async def infer(self, call: Call) -> Reply:
        """Answer `call`; a Triton's own refusal is an answer too.

        Raises:
            UpstreamUnavailable: nothing was sent.
            UpstreamBroken: something was sent, and no answer came back.
            DeadlineExceeded: the call's time was up first.
        """
        ...

    async def aclose(self) -> None:
        """Give up all connections; calls after this raise `UpstreamUnavailable`."""
        ...

"""The one interface of everything that answers calls."""

from __future__ import annotations

from typing import Protocol

from gateway.core.call import Call, ClientStream, Reply


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

    async def stream(self, call: Call, client: ClientStream) -> Reply:
        """Serve the stream `call` until it has ended; its `Reply` is the status (and metadata) that it ended with.

        A Triton that refuses before the stream is on is an answer with a body, and `client.start` was never called.
        Cancelling this gives the stream up in Triton too.

        Raises:
            UpstreamUnavailable, UpstreamBroken, DeadlineExceeded: as `infer`.
            ClientGone: the client went away.
        """
        ...

    async def aclose(self) -> None:
        """Give up all connections; calls after this raise `UpstreamUnavailable`."""
        ...

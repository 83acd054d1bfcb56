"""A side door that leads nowhere, for tests: same interface, same contract tests."""

from __future__ import annotations

from gateway.tap.exchange import Exchange


class FakeTap:
    """Keeps what it was offered.

    Attributes:
        offered: the exchanges that were taken, in order.
        refuses: set, there is no room for any more.
        closed: whether it takes nothing more.
    """

    def __init__(self) -> None:
        self.offered: list[Exchange] = []
        self.refuses = False
        self.closed = False

    def offer(self, exchange: Exchange) -> bool:
        """Keep an exchange, as `Tap.offer` says."""
        if self.closed or self.refuses:
            return False
        self.offered.append(exchange)
        return True

    async def aclose(self) -> None:
        """Take nothing more."""
        self.closed = True

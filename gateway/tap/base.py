"""The one interface of everything that takes exchanges from the data path."""

from __future__ import annotations

from typing import Protocol

from gateway.tap.exchange import Exchange


class Tap(Protocol):
    """A side door."""

    def offer(self, exchange: Exchange) -> bool:
        """Hand over an exchange, or drop it where there is no room. Never waits, never raises.

        Returns:
            whether it was taken.
        """
        ...

    async def aclose(self) -> None:
        """Take nothing more; what was taken is handed over, within some seconds."""
        ...


class ClosedTap:
    """A side door that nobody stands behind: everything is dropped."""

    def offer(self, exchange: Exchange) -> bool:
        """Drop it."""
        del exchange
        return False

    async def aclose(self) -> None:
        """There is nothing to hand over."""

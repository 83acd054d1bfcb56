"""Tritons with a chaos proxy before each of their services, and a gateway in front of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import pytest
import uvloop

from gateway.app import DataPlane
from gateway.config import load
from tests.chaos import Chaos, Fault
from tests.reliability.triton import Triton


@dataclass(frozen=True)
class Frail:
    """A Triton behind proxies, one for each protocol."""

    triton: Triton
    http: Chaos
    grpc: Chaos

    async def die(self) -> None:
        """Refuse, and reset what is open."""
        await self.http.refuse()
        await self.grpc.refuse()

    async def rise(self) -> None:
        """Listen again, on the same ports."""
        await self.http.listen()
        await self.grpc.listen()

    def suffer(self, fault: Fault) -> None:
        """Do this to every connection of both protocols."""
        self.http.fault = self.grpc.fault = fault


@asynccontextmanager
async def frail() -> AsyncIterator[Frail]:
    """A Triton of its own."""
    async with Triton() as triton, Chaos(triton.http) as http, Chaos(triton.grpc) as grpc:
        yield Frail(triton, http, grpc)


def settings(tritons: Sequence[Frail], *more: str) -> tuple[str, ...]:
    """Overrides of the configuration: free ports on loopback, quick checks, and these Tritons."""
    upstreams = ", ".join(
        f"{{name: t{i}, http: '{t.http.address}', grpc: '{t.grpc.address}'}}" for i, t in enumerate(tritons)
    )
    return (
        "http={host: 127.0.0.1, port: 0}",
        "grpc={host: 127.0.0.1, port: 0}",
        "control={port: 0}",
        "balance={check_seconds: 0.1, check_timeout_seconds: 1, eject_seconds: 0.2}",
        f"upstreams=[{upstreams}]",
        *more,
    )


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that the gateway runs on."""
    return {"uvloop": uvloop.new_event_loop}


Plane = Callable[..., AbstractAsyncContextManager[DataPlane]]


@pytest.fixture
def plane() -> Plane:
    """A gateway in this process in front of some Tritons: `async with plane([a, b], "limits.deadline_seconds=1")`."""

    def start(tritons: Sequence[Frail], *more: str) -> AbstractAsyncContextManager[DataPlane]:
        return DataPlane(load(None, settings(tritons, *more)))

    return start

"""A model that gets copies of requests, in good health or not, as a program: `python -m benchmarks.engines.shadow`.

It speaks as much HTTP as a gateway needs, so that what it costs is not what is measured. Checks are answered well in
every state: a shadow that its checks show to be ill would be left alone for that alone.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast

import uvloop

from benchmarks.payloads import identity_reply
from benchmarks.service import Service, free_ports, listens

State = Literal["healthy", "slow", "hanging", "garbage", "dead"]
STATES: tuple[State, ...] = ("healthy", "slow", "hanging", "garbage", "dead")
SLOW_SECONDS = 1.0

_ROOT = Path(__file__).parents[2]
_GARBAGE = bytes(range(256)) * 2
_INDEX = b'[{"name":"identity","version":"1","state":"READY"}]'


class _Connection(asyncio.Protocol):
    """One connection of the gateway's; requests come one after the other."""

    def __init__(self, state: State, answer: bytes, counted: list[int]) -> None:
        self._state, self._answer, self._counted = state, answer, counted
        self._received = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is none by its class

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        fields = dict(line.partition(b": ")[::2] for line in head.lower().split(b"\r\n")[1:])
        if not end or len(body) < int(fields.get(b"content-length", b"0")):
            return
        self._received = b""
        if b"/infer" not in head.partition(b"\r\n")[0]:
            count = b"%d" % self._counted[0]
            self._transport.write(_http(count if head.startswith(b"GET /count") else _INDEX))
            return
        self._counted[0] += 1
        if self._state == "garbage":
            self._transport.write(_GARBAGE)
        elif self._state == "slow":
            asyncio.get_running_loop().call_later(SLOW_SECONDS, self._transport.write, self._answer)
        elif self._state == "healthy":
            self._transport.write(self._answer)


def _http(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body


def start(state: State, folder: Path, on: Sequence[str]) -> tuple[str, Service | None]:
    """The address of a shadow in this state, and its process; a dead one has none.

    Args:
        state: how it is.
        folder: for its log.
        on: a command prefix that places it on its cores.
    """
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    if state == "dead":
        return address, None
    command = [*on, sys.executable, "-m", "benchmarks.engines.shadow", state, str(port)]
    service = Service(f"shadow-{state}", command, folder, http=address, cwd=_ROOT)
    return address, service.wait(lambda: listens(address), 20)


async def _serve(state: State, port: int) -> None:
    answer, counted = _http(identity_reply("json", 100).body), [0]
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(state, answer, counted), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("state", choices=STATES)
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    uvloop.run(_serve(options.state, options.port))

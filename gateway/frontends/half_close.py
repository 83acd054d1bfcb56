"""A client that has said all it will say: it may still be listening, or it may be gone.

The end of a client's bytes looks the same whether it shut down its writing side and waits for the answer, or closed
its socket and forgot about it. Treating both as gone (as nginx does) drops the answers of the first; treating both as
listening lets Triton work for nobody. What tells them apart is a byte sent to them: a socket that was closed answers
with a reset. HTTP/1.1 has bytes that may be sent at any time before a response, `100 Continue`.

A client of HTTP/1.0 knows no interim answers; it is taken to be listening.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from gateway.frontends.http_reply import CONTINUE

_FIRST = 0.02  # seconds after which the reset should have come, doubled each time
_LAST = 1.0
_TCP_CLOSE = 7  # of the kernel's states of a connection: a reset has come


class HalfClosed:
    """Asks until the request is answered.

    Args:
        transport: the client's connection, whose end of file has come.
        waiting: whether nothing of a response has been sent yet.
    """

    def __init__(self, transport: asyncio.Transport, waiting: Callable[[], bool]) -> None:
        self._transport = transport
        self._waiting = waiting
        self._pause = _FIRST
        transport.write(CONTINUE)
        self._later()

    def _later(self) -> None:
        asyncio.get_running_loop().call_later(self._pause, self._look)
        self._pause = min(2 * self._pause, _LAST)

    def _look(self) -> None:
        if self._transport.is_closing() or not self._waiting():
            return
        if _was_reset(self._transport):
            self._transport.abort()
        else:
            self._later()


def _was_reset(transport: asyncio.Transport) -> bool:
    sock = transport.get_extra_info("socket")
    return bool(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _TCP_CLOSE)

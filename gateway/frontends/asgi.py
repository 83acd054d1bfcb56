"""A bridge from the HTTP engine to an ASGI application: for the gateway's own pages, which are small and rarely read.

The request's body is there as a whole, and so is the answer's before it is sent. Nothing is streamed, and there is no
lifespan.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from gateway.core.call import Body, Metadata, Reply
from gateway.frontends.http_head import RequestHead
from gateway.wire import status

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

_log = logging.getLogger("gateway.http")

_ENGINES_OWN = frozenset({b"content-length", b"connection", b"transfer-encoding"})


async def respond(app: Asgi, head: RequestHead, body: Body, server: tuple[str, int]) -> Reply:
    """Ask `app`; never raises.

    Args:
        app: the application.
        head: the request.
        body: its body.
        server: host and port that it came to.
    """
    exchange = _Exchange(body)
    try:
        await app(_scope(head, server), exchange.receive, exchange.send)
    except Exception as error:
        _log.exception("the page %s failed inside the gateway", head.path.decode("latin-1"))
        return status.http_reply(error)
    return Reply(exchange.status, exchange.headers, b"".join(exchange.pieces))


def _scope(head: RequestHead, server: tuple[str, int]) -> Scope:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.0" if head.old else "1.1",
        "method": head.method.decode(),
        "scheme": "http",
        "path": head.path.decode("latin-1"),
        "raw_path": head.path,
        "query_string": head.query,
        "root_path": "",
        "headers": list(head.headers),
        "server": server,
        "client": None,
    }


class _Exchange:
    """One request and what the application answers."""

    def __init__(self, body: Body) -> None:
        self._request: Message | None = {"type": "http.request", "body": bytes(body), "more_body": False}
        self.status = 500
        self.headers: Metadata = ()
        self.pieces: list[bytes] = []

    async def receive(self) -> Message:
        """The request, once; then nothing for as long as the application cares to wait."""
        message, self._request = self._request, None
        if message is None:
            await asyncio.Event().wait()
            raise AssertionError
        return message

    async def send(self, message: Message) -> None:
        """Keep what the application says."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = tuple((n.lower(), v) for n, v in message["headers"] if n.lower() not in _ENGINES_OWN)
        else:
            self.pieces.append(message.get("body", b""))

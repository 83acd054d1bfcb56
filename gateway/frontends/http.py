"""HTTP in front: raw ASGI for the Open Inference Protocol, Starlette for the gateway's own pages.

One request, in order: match the request line, read the body within its limit, make the `Call`, walk the chain, send
the `Reply`. Everything that goes wrong on the way becomes a reply through `wire/status.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from gateway.core.call import Call, Metadata, Operation, Protocol, Reply
from gateway.core.deadline import Deadline
from gateway.core.errors import DeadlineExceeded, GatewayError, RequestTooLarge
from gateway.core.policy import Next
from gateway.frontends import request_id as request_ids
from gateway.wire import oip_http, status

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

_log = logging.getLogger("gateway.http")

_LIVE = Reply(200)
_DRAIN = 4  # how many times the limit is read, and thrown away, before an oversized body is cut off


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


class HttpFrontend:
    """The ASGI application that uvicorn runs.

    Args:
        chain: the policies around the HTTP upstream.
        pages: the ASGI application for paths outside the protocol.
        max_body_bytes: largest body; a larger one gets 413.
        deadline_seconds: how long a request may take.
    """

    def __init__(self, chain: Next, pages: Asgi, max_body_bytes: int, deadline_seconds: float) -> None:
        self._chain = chain
        self._pages = pages
        self._max_body_bytes = max_body_bytes
        self._deadline_seconds = deadline_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path: bytes = scope["raw_path"].partition(b"?")[0]
        if not path.startswith(b"/v2"):
            await self._pages(scope, receive, send)
            return
        headers: Metadata = tuple(scope["headers"])
        request_id = request_ids.request_id(headers)
        try:
            reply = await self._answer(scope["method"].encode(), path, headers, request_id, receive)
        except ClientGone:
            return
        except GatewayError as error:
            reply = status.http_reply(error)
        except Exception as error:
            _log.exception("request %s failed inside the gateway", request_id)
            reply = status.http_reply(error)
        await _send(send, reply, request_id)

    async def _answer(self, method: bytes, path: bytes, headers: Metadata, request_id: str, receive: Receive) -> Reply:
        route = oip_http.match(method, path)
        if route.operation is Operation.SERVER_LIVE:
            return _LIVE  # the gateway's own: a Triton that restarts is no reason to restart the gateway
        deadline = Deadline.after(self._deadline_seconds)
        body = await self._read(headers, receive, deadline) if method == b"POST" else b""
        head_len = oip_http.head_length(headers, len(body))
        oip_http.check_depth(body, head_len)
        return await self._chain(
            Call(
                protocol=Protocol.HTTP,
                operation=route.operation,
                model=route.model,
                version=route.version,
                request_id=request_id,
                metadata=headers,
                body=body,
                head_len=head_len,
                deadline=deadline,
            )
        )

    async def _read(self, headers: Metadata, receive: Receive, deadline: Deadline) -> bytes:
        """The whole body. One that is too large is read on for a while, so that the client gets to see the answer."""
        limit = self._max_body_bytes
        announced = _announced(headers)
        if announced > limit and (announced > _DRAIN * limit or _has(headers, b"expect")):
            raise self._too_large(announced)
        chunks: list[bytes] = []
        size, more = 0, True
        try:
            async with asyncio.timeout(deadline.remaining()):
                while more and size <= _DRAIN * limit:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientGone
                    chunk, more = message.get("body", b""), message.get("more_body", False)
                    size += len(chunk)
                    if size <= limit:
                        chunks.append(chunk)
                    else:
                        chunks.clear()
        except TimeoutError:
            raise DeadlineExceeded("the request's body did not arrive within the request's time") from None
        if size > limit:
            raise self._too_large(max(size, announced))
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _too_large(self, size: int) -> RequestTooLarge:
        return RequestTooLarge(
            f"request body of {size} bytes exceeds the maximum of {self._max_body_bytes} bytes; "
            "send less at a time, or have http.max_body_bytes raised"
        )


def _has(headers: Metadata, name: bytes) -> bool:
    return any(key == name for key, _ in headers)


def _announced(headers: Metadata) -> int:
    """What `content-length` says; the server below has checked that it is a number, and that the body obeys it."""
    return next((int(value) for key, value in headers if key == b"content-length"), 0)


async def _send(send: Send, reply: Reply, request_id: str) -> None:
    headers = [*reply.metadata, (b"content-length", b"%d" % len(reply.body)), (request_ids.NAME, request_id.encode())]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})

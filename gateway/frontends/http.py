"""The Open Inference Protocol over HTTP, in front: a request's head and body become a `Call`, which walks the chain.

This module knows no sockets. The engine (`http_server.py`) asks it in this order: `open` when a head has come, `admit`
before the body is received, `answer` once it is there, and `close` at the end of every request that was opened.
Whatever goes wrong on the way becomes a reply through `wire/status.py`.
"""

from __future__ import annotations

import asyncio
import logging
from functools import lru_cache

from gateway.core.call import Body, Call, ClientStream, Metadata, Operation, Protocol, Reply
from gateway.core.deadline import Deadline
from gateway.core.errors import GatewayError, InvalidRequest, RequestTooLarge, UnknownRoute
from gateway.frontends import cors, http_head
from gateway.frontends import request_id as request_ids
from gateway.frontends.http_head import RequestHead
from gateway.frontends.intake import Intake
from gateway.frontends.serving import Current, Serving
from gateway.wire import compression, infer_json, oip_http, status

TIMEOUT = b"x-request-timeout-ms"

_log = logging.getLogger("gateway.http")

_LIVE = Reply(200)
_NOT_READY = Reply(400, ((b"content-type", b"application/json"),), b'{"error":"this gateway is stopping"}')
_NOT_FOUND = status.http_reply(UnknownRoute("Not Found"))
_PROTOCOL = b"/v2/"  # what its paths begin with, behind a prefix
_OF_THE_GATEWAY = (Operation.SERVER_LIVE, Operation.SERVER_READY)  # asked of it while it stops, too
_IN_A_THREAD = 64 * 2**10  # a compressed body of more bytes than this is not worth stopping everybody else for
_ANNOUNCED = 64 * 2**10  # bytes of a body that are taken for sent once they are announced
_REMEMBERED = 1024  # heads
_MEMORABLE = 2048  # bytes of a head


class Plan:
    """What can be said of a request by its head alone; clients repeat their heads, so plans are used again.

    Attributes:
        head: the request's head.
        prefix: what stands before the protocol's own path; if that is not served, nothing else of this counts.
        route: what is asked for; None for a page.
        model: the model that the path is about, even if it is refused; empty for none.
        preflight: whether a browser asks what a web page may do.
        encoding: of the body.
        timeout: seconds that the client gives it; None for the configured default.
        refusal: the answer, if it is refused whatever the body holds.
        request_id: the client's own, or empty.
        metadata: the headers that go with the call.
        streams: whether the answer comes bit by bit.
    """

    __slots__ = (
        "_origin",
        "encoding",
        "head",
        "metadata",
        "model",
        "prefix",
        "preflight",
        "refusal",
        "request_id",
        "route",
        "streams",
        "timeout",
    )

    def __init__(self, head: RequestHead) -> None:
        self.head = head
        self.route: oip_http.Route | None = None
        self.refusal: Reply | None = None
        self.encoding = "identity"
        self.timeout: float | None = None
        self.request_id = request_ids.given(head.headers)
        self.metadata = head.headers
        self.streams = False
        self.prefix = self.model = ""
        self.preflight = head.method == b"OPTIONS" and cors.is_preflight(head)
        self._origin: bytes | None = None
        begins = (head.path + b"/").find(_PROTOCOL)
        if begins >= 0:
            path = head.path[begins:]
            self.prefix = head.path[:begins].decode("latin-1")
            try:
                self._read(head, path)
            except GatewayError as error:
                self.refusal = status.http_reply(error)
                self.model = cors.model_of(path)

    @property
    def origin(self) -> bytes:
        """The origin of the web page that asks; empty for none."""
        if self._origin is None:
            self._origin = cors.origin_of(self.head.headers)
        return self._origin

    def _read(self, head: RequestHead, path: bytes) -> None:
        self.route = oip_http.match(head.method, path)
        self.model = self.route.model
        self.timeout = _timeout(head.headers)
        self.encoding = oip_http.content_encoding(head.headers)
        if self.encoding != "identity":
            self.metadata = tuple(pair for pair in head.headers if pair[0] != b"content-encoding")
        self.streams = self.route.operation is Operation.GENERATE_STREAM


class Request:
    """One request under way.

    Attributes:
        plan: what its head says.
        head: the head itself.
        request_id: its name.
        deadline: when its client stops waiting.
        serving: what it is served with, from its beginning to its end.
        peer: the client's address.
        cors: the header lines of its reply that let a web page read it.
        max_body: most bytes of its body.
        held: bytes of its body that the intake counts.
        entered: whether the intake counts it.
    """

    __slots__ = ("cors", "deadline", "entered", "head", "held", "max_body", "peer", "plan", "request_id", "serving")

    def __init__(self, plan: Plan, serving: Serving, peer: str) -> None:
        self.plan = plan
        self.head = plan.head
        self.request_id = plan.request_id or request_ids.new()
        seconds = serving.limits.deadline_seconds
        self.deadline = Deadline.after(seconds if plan.timeout is None else min(plan.timeout, seconds))
        self.serving = serving
        self.peer = peer
        self.cors = b"" if serving.cors is None else serving.cors.lines(plan.model, plan.origin)
        self.max_body = serving.http.max_body_bytes
        self.held = 0
        self.entered = False


class HttpFrontend:
    """Serves requests of the protocol.

    Args:
        current: what to serve with.
        intake: counts what is here and not answered yet.
    """

    def __init__(self, current: Current, intake: Intake) -> None:
        self._current = current
        self._intake = intake
        self._remembered = lru_cache(_REMEMBERED)(_plan)

    def open(self, raw: bytes, peer: str = "") -> Request:
        """The request that begins with this head.

        Args:
            raw: the head, up to and with its empty line.
            peer: the client's address; empty if it is not known.

        Raises:
            HttpError: the head is not HTTP.
        """
        plan = self._remembered(raw) if len(raw) <= _MEMORABLE else _plan(raw)
        return Request(plan, self._current.serving, peer)

    def admit(self, request: Request) -> Reply | None:
        """Decide whether the request is worth receiving, and give its announced body room; else the answer to it."""
        plan, serving = request.plan, request.serving
        if plan.prefix and plan.prefix not in serving.prefixes:
            return _NOT_FOUND
        if plan.refusal is not None:
            asked = plan.preflight and serving.cors is not None and serving.cors.preflight(plan.model, plan.origin)
            return asked or plan.refusal
        try:
            if plan.route is not None and plan.route.operation not in _OF_THE_GATEWAY:
                self._intake.enter()
                request.entered = True
            if plan.head.length:
                self._expect(request, plan.head.length)
        except GatewayError as error:
            return status.http_reply(error)
        return None

    def hold(self, request: Request, size: int) -> None:
        """Make room for a body of `size` bytes so far.

        Raises:
            RequestTooLarge: it is more than is allowed.
            Overloaded: there is no room.
        """
        if size > request.max_body:
            raise too_large(size, request.max_body)
        if size > request.held:
            self._intake.take(size - request.held)
            request.held = size

    def _expect(self, request: Request, length: int) -> None:
        """Refuse a body that there is no room for now.

        A long one is counted as it comes and not as it is announced, or a few clients that announce much and send
        nothing would keep everybody else out.
        """
        self.hold(request, length)
        if length > _ANNOUNCED:
            self._intake.give(length)
            request.held = 0

    def close(self, request: Request) -> None:
        """The request is answered, or given up."""
        if request.held:
            self._intake.give(request.held)
            request.held = 0
        if request.entered:
            self._intake.leave()
            request.entered = False

    async def answer(self, request: Request, body: Body, client: ClientStream | None) -> Reply:
        """Serve one request; never raises.

        Args:
            request: one that was admitted, and is not a page.
            body: all of it.
            client: where a stream goes.
        """
        try:
            return await self._answer(request, body, client)
        except GatewayError as error:
            return status.http_reply(error)
        except Exception as error:
            _log.exception("request %s failed inside the gateway", request.request_id)
            return status.http_reply(error)

    async def _answer(self, request: Request, body: Body, client: ClientStream | None) -> Reply:
        plan, serving = request.plan, request.serving
        route = plan.route
        assert route is not None  # noqa: S101 - pages do not come here
        if route.operation is Operation.SERVER_LIVE:
            return _LIVE  # the gateway's own: a Triton that restarts is no reason to restart the gateway
        if route.operation is Operation.SERVER_READY and self._intake.leaving:
            return _NOT_READY
        head_len, sequence = 0, None
        if body and plan.head.method != b"POST":
            body = b""  # it would mean nothing to Triton
        if body:
            if plan.encoding != "identity":
                body = await self._decompressed(request, body)
            head_len = oip_http.head_length(plan.metadata, len(body))
            sequence = infer_json.read(route.operation, body, head_len, serving.admin.shared_memory)
        call = Call(
            Protocol.HTTP,
            route.operation,
            route.line,
            route.model,
            route.version,
            request.request_id,
            plan.metadata,
            body,
            head_len,
            request.deadline,
            sequence,
            peer=request.peer,
            prefix=plan.prefix,
        )
        if client is not None:
            return await serving.chain.stream(call, client)
        return await serving.chain.infer(call)

    async def _decompressed(self, request: Request, body: Body) -> bytes:
        encoding, ratio = request.plan.encoding, request.serving.limits.max_decompression_ratio
        if len(body) <= _IN_A_THREAD:
            plain = compression.decompress(body, encoding, request.max_body, ratio)
        else:
            plain = await asyncio.to_thread(compression.decompress, body, encoding, request.max_body, ratio)
        self.hold(request, len(plain))
        return plain


def too_large(size: int, limit: int) -> RequestTooLarge:
    """The refusal of a body of `size` bytes, or of as many so far."""
    return RequestTooLarge(
        f"request body of {size} bytes exceeds the maximum of {limit} bytes; "
        "send less at a time, or have http.max_body_bytes raised"
    )


def _plan(raw: bytes) -> Plan:
    return Plan(http_head.parse(raw))


def _timeout(headers: Metadata) -> float | None:
    """Seconds that the client gives its request."""
    given = [value for name, value in headers if name == TIMEOUT]
    if not given:
        return None
    if len(given) > 1 or not given[0].isdigit() or len(given[0]) > 12 or int(given[0]) == 0:
        raise InvalidRequest("X-Request-Timeout-Ms must be given once, as a positive whole number of milliseconds")
    return int(given[0]) / 1000

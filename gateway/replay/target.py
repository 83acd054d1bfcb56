"""A server that recorded requests are sent to: anything that speaks the Open Inference Protocol, over HTTP or gRPC."""

from __future__ import annotations

import time
from typing import Any, Literal, Protocol, TypeAlias
from urllib.parse import quote, urlsplit

import grpc
import grpc.aio
import httpx

from gateway.core.errors import SetupError
from gateway.tap.datatypes import DecodedRequest
from gateway.tap.exchange import Answer
from gateway.tap.tensors import failure, generate_request, grpc_request, http_request
from gateway.wire.protobuf import length_delimited

_HEAD_LENGTH = "inference-header-content-length"
_SERVICE = "/inference.GRPCInferenceService"
_READY = b"\x08\x01"  # a ModelReadyResponse that says true
_Rpc: TypeAlias = Any  # grpc.aio.UnaryUnaryMultiCallable is no generic at run time
_UNKNOWN = 2  # gRPC's code for what has none


class Target(Protocol):
    """One server.

    Attributes:
        url: as the user wrote it.
    """

    url: str

    async def check(self, model: str, version: str) -> None:
        """Make sure that the server can be reached and serves the model.

        Raises:
            SetupError: it is not so.
        """
        ...

    async def infer(self, model: str, version: str, request: DecodedRequest) -> Answer:
        """Ask. Whatever goes wrong is an answer too, whose status says so.

        Raises:
            Undecodable: the request cannot be said in the server's protocol.
        """
        ...

    def failure(self, answer: Answer) -> str:
        """What an answer that is an error says; empty if it is none."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


def target_of(url: str, timeout: float, concurrency: int) -> HttpTarget | GrpcTarget:
    """The server behind a URL; nothing is asked yet. Made within a running event loop.

    Args:
        url: http://HOST:PORT (also https), perhaps with a path before /v2, or grpc://HOST:PORT (also grpcs).
        timeout: seconds that an answer may take.
        concurrency: most requests at a time.

    Raises:
        SetupError: it is none of these.
    """
    parts = urlsplit(url)
    try:
        complete = bool(parts.hostname) and (parts.scheme in {"http", "https"} or bool(parts.port))
    except ValueError:
        complete = False
    if parts.scheme in {"http", "https"} and complete:
        return HttpTarget(url, timeout, concurrency)
    if parts.scheme in {"grpc", "grpcs"} and complete:
        return GrpcTarget(url, timeout)
    raise SetupError(f"{url!r} names no server; write it as http://HOST:PORT or grpc://HOST:PORT")


class HttpTarget:
    """A server over HTTP."""

    protocol: Literal["http"] = "http"

    def __init__(self, url: str, timeout: float, concurrency: int) -> None:
        self.url = url
        limits = httpx.Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
        self._client = httpx.AsyncClient(base_url=url.rstrip("/"), timeout=timeout, limits=limits, trust_env=False)

    async def check(self, model: str, version: str) -> None:
        """Ask whether the model is ready."""
        try:
            reply = await self._client.get(f"{_path(model, version)}/ready")
        except httpx.HTTPError as error:
            raise _unreachable(self.url, str(error) or type(error).__name__) from None
        if reply.status_code != httpx.codes.OK:
            said = failure("http", _answer(model, version, reply, 0.0))
            raise _not_served(self.url, model, version, said)

    async def infer(self, model: str, version: str, request: DecodedRequest) -> Answer:
        """Send it, with its tensors in binary."""
        body, length = (generate_request(request), None) if request.generate else http_request(request)
        headers = {} if length is None else {_HEAD_LENGTH: str(length)}
        verb = "generate" if request.generate else "infer"
        began = time.perf_counter()
        try:
            reply = await self._client.post(f"{_path(model, version)}/{verb}", content=body, headers=headers)
        except httpx.HTTPError as error:
            said = str(error) or type(error).__name__
            return Answer("", model, version, 599, said.encode(), None, "", "", time.perf_counter() - began)
        return _answer(model, version, reply, time.perf_counter() - began)

    def failure(self, answer: Answer) -> str:
        """An HTTP status of 400 or more; 599 is a connection that failed."""
        return answer.body.decode("utf-8", "replace") if answer.status == 599 else failure("http", answer)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


class GrpcTarget:
    """A server over gRPC."""

    protocol: Literal["grpc"] = "grpc"

    def __init__(self, url: str, timeout: float) -> None:
        self.url = url
        self._timeout = timeout
        parts = urlsplit(url)
        options = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
        self._channel = (
            grpc.aio.insecure_channel(parts.netloc, options)
            if parts.scheme == "grpc"
            else grpc.aio.secure_channel(parts.netloc, grpc.ssl_channel_credentials(), options)
        )
        self._infer: _Rpc = self._channel.unary_unary(f"{_SERVICE}/ModelInfer")
        self._ready: _Rpc = self._channel.unary_unary(f"{_SERVICE}/ModelReady")

    async def check(self, model: str, version: str) -> None:
        """Ask whether the model is ready."""
        message = length_delimited(1, model.encode()) + (length_delimited(2, version.encode()) if version else b"")
        try:
            reply = await self._ready(message, timeout=self._timeout)
        except grpc.aio.AioRpcError as error:
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise _unreachable(self.url, error.details() or error.code().name) from None
            raise _not_served(self.url, model, version, error.details() or error.code().name) from None
        if reply != _READY:
            raise _not_served(self.url, model, version, "it is not ready")

    async def infer(self, model: str, version: str, request: DecodedRequest) -> Answer:
        """Send it, with its tensors as raw contents."""
        message = grpc_request(model, version, request)
        began = time.perf_counter()
        code, said, body = 0, "", b""
        try:
            body = await self._infer(message, timeout=self._timeout)
        except grpc.aio.AioRpcError as error:
            number = error.code().value[0]
            code, said = number if isinstance(number, int) and number else _UNKNOWN, error.details() or ""
        return Answer("", model, version, code, body, None, "", said, time.perf_counter() - began)

    def failure(self, answer: Answer) -> str:
        """A gRPC code that is not OK."""
        return failure("grpc", answer)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._channel.close()


def _path(model: str, version: str) -> str:
    of_version = f"/versions/{quote(version, safe='')}" if version else ""
    return f"/v2/models/{quote(model, safe='')}{of_version}"


def _answer(model: str, version: str, reply: httpx.Response, seconds: float) -> Answer:
    length = reply.headers.get(_HEAD_LENGTH, "")
    known = int(length) if length.isdecimal() else None
    return Answer("", model, version, reply.status_code, reply.content, known, "", "", seconds)


def _unreachable(url: str, said: str) -> SetupError:
    return SetupError(f"{url} cannot be reached: {said}; correct the address, or start what is to listen there")


def _not_served(url: str, model: str, version: str, said: str) -> SetupError:
    named = f"{model} version {version}" if version else model
    return SetupError(
        f"{url} does not serve the model {named}{said and f' ({said})'}; name one that it serves by --model, "
        "or by --against-model for the other side"
    )

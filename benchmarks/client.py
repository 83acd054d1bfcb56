"""One request at a time, to see whether a proxy or a server answers right."""

from __future__ import annotations

import http.client
import time

import grpc

from benchmarks.load import LoadError, Target
from benchmarks.payloads import Message

_SECONDS = 60.0


def ask(target: Target, message: Message) -> bytes:
    """The body that `message` is answered with.

    Raises:
        LoadError: it was refused, or nobody answered.
    """
    return _ask_grpc(target, message) if message.kind == "grpc" else _ask_http(target, message)


def ask_until_answered(target: Target, message: Message, seconds: float = 30.0) -> bytes:
    """The same for a server that has only just been started."""
    limit = time.monotonic() + seconds
    while True:
        try:
            return ask(target, message)
        except LoadError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.2)


def _ask_http(target: Target, message: Message) -> bytes:
    connection = http.client.HTTPConnection(target.address, timeout=_SECONDS)
    try:
        connection.request("POST", target.path, message.body, message.headers)
        reply = connection.getresponse()
        body = reply.read()
    except (OSError, http.client.HTTPException) as error:
        raise LoadError(f"{target.address}{target.path}: {type(error).__name__} {error}") from None
    finally:
        connection.close()
    if reply.status != 200:
        raise LoadError(f"{target.address}{target.path}: HTTP {reply.status} {body[:200]!r}")
    return body


def _ask_grpc(target: Target, message: Message) -> bytes:
    options = [("grpc.max_receive_message_length", -1), ("grpc.enable_http_proxy", 0)]
    options.append(("grpc.use_local_subchannel_pool", 1))
    with grpc.insecure_channel(target.address, options=options) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(target.path)
        try:
            return call(message.body, timeout=_SECONDS)
        except grpc.RpcError as error:
            raise LoadError(f"{target.address}{target.path}: {error.code().name} {error.details()}") from None

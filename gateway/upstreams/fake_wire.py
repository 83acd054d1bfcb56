"""The bytes of the fake Triton's HTTP service, and how they and its connections are spoilt."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterable
from http import HTTPStatus

from gateway.core.call import Body, Call, Metadata, Protocol, Reply
from gateway.core.deadline import Deadline
from gateway.upstreams.fake import Spoiled
from gateway.upstreams.fake_faults import HalfClose, Truncate, WrongLength
from gateway.wire import infer_json, oip_grpc, oip_http

_LINGER_0 = struct.pack("ii", 1, 0)  # close() resets the connection and drops what was not sent
_PATIENCE = 60.0  # seconds that the fake has for an answer


async def read_request(reader: asyncio.StreamReader) -> Call:
    """One request off a connection.

    Raises:
        IncompleteReadError: the connection has ended.
        GatewayError: it is none that Triton knows.
    """
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].split(b"\r\n")
    method, path, _ = first.split(b" ", 2)
    pairs = [line.partition(b":") for line in lines]
    metadata: Metadata = tuple([(name.lower(), value.strip()) for name, _, value in pairs])
    body = await reader.readexactly(int(dict(metadata).get(b"content-length", b"0")))
    route = oip_http.match(method, path.partition(b"?")[0])
    head_len = oip_http.head_length(metadata, len(body))
    sequence = infer_json.read(route.operation, body, head_len, True) if body else None
    return Call(
        protocol=Protocol.HTTP,
        operation=route.operation,
        line=route.line,
        model=route.model,
        version=route.version,
        request_id="",
        metadata=metadata,
        body=body,
        head_len=head_len,
        deadline=Deadline.after(_PATIENCE),
        sequence=sequence,
    )


def grpc_call(path: str, message: Body, metadata: Iterable[tuple[str, str | bytes]], remaining: float | None) -> Call:
    """The call of a gRPC method; of a stream, with its first message left where it is."""
    head = oip_grpc.read_head(path, message, True)
    return Call(
        protocol=Protocol.GRPC,
        operation=oip_grpc.METHODS[path].operation,
        line=path.encode(),
        model=head.model,
        version=head.version,
        request_id="",
        metadata=tuple([(name.encode(), v if isinstance(v, bytes) else v.encode()) for name, v in metadata]),
        body=message,
        head_len=len(message),
        deadline=Deadline.after(_PATIENCE if remaining is None else remaining),
        sequence=head.sequence,
    )


def head_of(reply: Reply, length: int | None = None) -> bytes:
    """Status line and headers; `length` is what it says of the body's length, None for a chunked body."""
    lines = [b"HTTP/1.1 %d %b" % (reply.status, HTTPStatus(reply.status).phrase.encode())]
    lines += [name + b": " + value for name, value in reply.metadata]
    lines.append(b"transfer-encoding: chunked" if length is None else b"content-length: %d" % length)
    return b"\r\n".join([*lines, b"", b""])


async def spoil(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, spoiled: Spoiled) -> None:
    """Do to an answer what is to be done to it; the connection is to be closed after that."""
    fault, reply = spoiled.fault, spoiled.reply
    if isinstance(fault, HalfClose):
        writer.write_eof()
        await reader.read()
        return
    extra = fault.add if isinstance(fault, WrongLength) else 0
    data = head_of(reply, len(reply.body) + extra) + reply.body
    writer.write(data[: fault.after] if isinstance(fault, Truncate) else data)
    await writer.drain()


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection, unless it has ended, with a reset."""
    if writer.is_closing():
        return
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
    writer.transport.abort()


class Relay:
    """Passes connections on to a server on loopback, so that they can be reset.

    Args:
        port: where the server listens.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._links: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def reset(self) -> None:
        """Reset every connection that there is."""
        for writer in self._links.values():
            reset(writer)  # that ends the link as well

    async def aclose(self) -> None:
        """Reset the connections that there are, and wait for their end."""
        self.reset()
        await asyncio.gather(*self._links, return_exceptions=True)

    async def link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on one connection until either side ends."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker: it is open here
        self._links[task] = writer
        behind, to_behind = await asyncio.open_connection("127.0.0.1", self._port)
        ways = [asyncio.create_task(_pass_on(reader, to_behind)), asyncio.create_task(_pass_on(behind, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            to_behind.close()
            writer.close()
            del self._links[task]


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(2**16):
        writer.write(data)
        await writer.drain()

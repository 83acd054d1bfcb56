"""A fake Triton on real sockets: what `FakeUpstream` answers, over HTTP/1.1 and gRPC, and what goes wrong on a wire.

It is for tests and for developing clients, so it is simple rather than fast, and trusts whoever talks to it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import grpc
import grpc.aio

from gateway.core.call import Body, Metadata, Operation, Reply
from gateway.core.errors import DeadlineExceeded, GatewayError, UpstreamError
from gateway.upstreams.fake import FakeUpstream, Spoiled
from gateway.upstreams.fake_door import Door
from gateway.upstreams.fake_wire import Relay, grpc_call, head_of, read_request, reset, spoil
from gateway.wire import oip_grpc, status

Context = grpc.aio.ServicerContext[Any, Any]


class FakeTriton:
    """Listens on loopback while it is entered.

    Args:
        upstream: what it answers; faults of its script become what they are on a wire. A call over gRPC knows one of
            them, the reset of all gRPC connections: the library below hides the others.
        trickle: seconds between the single bytes of an answer over HTTP; None sends it at once. Not for streams.

    Attributes:
        http: "host:port" of its HTTP service.
        grpc: "host:port" of its gRPC service.
        connections: HTTP connections that were accepted so far.
    """

    def __init__(self, upstream: FakeUpstream | None = None, trickle: float | None = None) -> None:
        self.upstream = upstream or FakeUpstream()
        self._http_door, self._grpc_door = Door(), Door()
        self.http, self.grpc = self._http_door.address, self._grpc_door.address
        self.connections = 0
        self._trickle = trickle
        self._grpc_server: grpc.aio.Server | None = None
        self._relay: Relay | None = None
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def __aenter__(self) -> FakeTriton:
        await self.listen()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.refuse()
        self._http_door.close()
        self._grpc_door.close()

    async def listen(self) -> None:
        """Accept connections, always on the same ports."""
        await self._http_door.open(self._accept)
        self._grpc_server = grpc.aio.server(options=(("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1)))
        self._grpc_server.add_generic_rpc_handlers((_Rpcs(self),))
        self._relay = Relay(self._grpc_server.add_insecure_port("127.0.0.1:0"))
        await self._grpc_server.start()
        await self._grpc_door.open(self._relay.link)

    async def refuse(self) -> None:
        """Refuse connections, and reset those that there are, as a Triton that was killed."""
        self._http_door.shut()
        self._grpc_door.shut()
        for task, writer in self._serving.items():
            reset(writer)
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        if self._relay is not None:
            await self._relay.aclose()
        if self._grpc_server is not None:
            await self._grpc_server.stop(None)

    def reset_grpc(self) -> None:
        """Reset every gRPC connection."""
        if self._relay is not None:
            self._relay.reset()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker: it is open here
        self._serving[task] = writer
        try:
            with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            del self._serving[task]
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; says whether the connection lives on."""
        try:
            call = await read_request(reader)
        except GatewayError as error:
            return await self._write(writer, status.http_reply(error))
        try:
            if call.operation is not Operation.GENERATE_STREAM:
                return await self._write(writer, await self.upstream.infer(call))
            client = _HttpClient(writer)
            reply = await self.upstream.stream(call, client)
            return await client.finish() if client.started else await self._write(writer, reply)
        except Spoiled as spoiled:
            await spoil(reader, writer, spoiled)
        except UpstreamError:
            await asyncio.sleep(0)  # what was sent before is to go out: a reset drops what is still in the buffers
            reset(writer)
        return False

    async def _write(self, writer: asyncio.StreamWriter, reply: Reply) -> bool:
        data = head_of(reply, len(reply.body)) + reply.body
        step = len(data) if self._trickle is None else 1
        for position in range(0, len(data), step):
            writer.write(data[position : position + step])
            await writer.drain()
            if self._trickle is not None:
                await asyncio.sleep(self._trickle)
        return True


class _HttpClient:
    """The client's end of a stream of events."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.started = False
        self._writer = writer

    async def receive(self) -> Body | None:
        return None

    async def start(self, metadata: Metadata) -> None:
        self.started = True
        self._writer.write(head_of(Reply(200, metadata)))

    async def send(self, message: Body) -> None:
        self._writer.write(b"%x\r\n" % len(message) + message + b"\r\n")
        await self._writer.drain()

    async def finish(self) -> bool:
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()
        return True


class _GrpcClient:
    """The client's end of a gRPC stream."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def receive(self) -> Body | None:
        message = await self._context.read()
        return None if message is grpc.aio.EOF else message

    async def start(self, metadata: Metadata) -> None:
        await self._context.send_initial_metadata([(name.decode(), value.decode()) for name, value in metadata])

    async def send(self, message: Body) -> None:
        await self._context.write(bytes(message))


class _Rpcs(grpc.GenericRpcHandler):
    """The inference service over raw bytes."""

    def __init__(self, triton: FakeTriton) -> None:
        self._triton = triton

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        path = handler_call_details.method
        method = oip_grpc.METHODS.get(path)
        if method is None:
            return None
        triton, metadata = self._triton, handler_call_details.invocation_metadata

        async def stream(_: AsyncIterator[bytes], context: Context) -> None:
            call = grpc_call(path, b"", metadata, context.time_remaining())
            await self._finish(context, triton.upstream.stream(call, _GrpcClient(context)))

        async def unary(message: bytes, context: Context) -> bytes:
            call = grpc_call(path, message, metadata, context.time_remaining())
            return await self._finish(context, triton.upstream.infer(call))

        if method.streaming:
            return grpc.stream_stream_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(unary)

    async def _finish(self, context: Context, answer: Awaitable[Reply]) -> bytes:
        try:
            reply = await answer
        except DeadlineExceeded as error:
            reply = status.grpc_reply(error)
        except UpstreamError as error:
            self._triton.reset_grpc()  # so that nobody hears of the status
            reply = status.grpc_reply(error)
        if reply.status:
            await context.abort(_CODES[reply.status], reply.message)
        return bytes(reply.body)


_CODES = {code.value[0]: code for code in grpc.StatusCode}

"""A gRPC proxy on grpc.aio that passes raw bytes on: the least that this library can do, for the record.

Usage: grpc_aio_proxy.py LISTEN_ADDRESS UPSTREAM_ADDRESS
"""

from __future__ import annotations

import asyncio
import sys

import grpc
import uvloop

_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))


class Proxy(grpc.GenericRpcHandler):
    """Passes every unary call on to `channel`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._methods: dict[str, grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        """See `grpc.GenericRpcHandler`."""
        path = handler_call_details.method
        method = self._methods.get(path)
        if method is None:
            method = self._methods[path] = self._channel.unary_unary(path)

        async def answer(request: bytes, _: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
            return await method(request)

        return grpc.unary_unary_rpc_method_handler(answer)


async def serve(listen: str, upstream: str) -> None:
    """Serve until the process is ended."""
    async with grpc.aio.insecure_channel(upstream, options=(*_OPTIONS, ("grpc.enable_http_proxy", 0))) as channel:
        server = grpc.aio.server(handlers=[Proxy(channel)], options=(*_OPTIONS, ("grpc.so_reuseport", 0)))
        server.add_insecure_port(listen)
        await server.start()
        await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.Runner(loop_factory=uvloop.new_event_loop).run(serve(*sys.argv[1:3]))

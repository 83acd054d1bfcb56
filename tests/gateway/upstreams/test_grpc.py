import asyncio

import grpc
import pytest

from gateway.config import LimitsSection
from gateway.core.call import Protocol
from gateway.core.errors import DeadlineExceeded, UpstreamBroken, UpstreamUnavailable
from gateway.upstreams.grpc import GrpcUpstream
from tests.gateway.conftest import MakeCall
from tests.gateway.upstreams.conftest import Listen

SETTINGS_FRAME = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


async def test_nobody_there_is_unavailable_and_names_no_address(make_call: MakeCall) -> None:
    upstream = GrpcUpstream("127.0.0.1:1", LimitsSection())
    with pytest.raises(UpstreamUnavailable) as caught:
        await upstream.infer(make_call(protocol=Protocol.GRPC))
    assert "127.0.0.1" not in caught.value.message
    await upstream.aclose()


async def test_a_connection_that_breaks_under_a_call_is_broken(listen: Listen, make_call: MakeCall) -> None:
    async def greet_and_leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SETTINGS_FRAME)
        data = b""
        while b"ModelInfer" not in data and len(data) < 4096:  # the request's headers have come
            chunk = await reader.read(4096)
            if not chunk:
                break
            data += chunk

    upstream = GrpcUpstream(await listen(greet_and_leave), LimitsSection())
    with pytest.raises((UpstreamBroken, UpstreamUnavailable)) as caught:
        await upstream.infer(make_call(protocol=Protocol.GRPC, body=b"\x0a\x01m", seconds=5))
    assert "127.0.0.1" not in caught.value.message
    await upstream.aclose()


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL, grpc.StatusCode.NOT_FOUND])
async def test_what_triton_says_is_an_answer_whatever_the_code(make_call: MakeCall, code: grpc.StatusCode) -> None:
    async def refuse(message: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        await context.abort(code, "Exceeds maximum queue size")

    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(refuse)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("inference.GRPCInferenceService", {"ModelInfer": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    upstream = GrpcUpstream(f"127.0.0.1:{port}", LimitsSection())
    reply = await upstream.infer(make_call(protocol=Protocol.GRPC))
    assert (reply.status, reply.message) == (code.value[0], "Exceeds maximum queue size")
    await upstream.aclose()
    await server.stop(None)


async def test_a_triton_that_says_nothing_runs_into_the_deadline(listen: Listen, make_call: MakeCall) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SETTINGS_FRAME)
        await reader.read()

    upstream = GrpcUpstream(await listen(silent), LimitsSection())
    with pytest.raises(DeadlineExceeded):
        await upstream.infer(make_call(protocol=Protocol.GRPC, seconds=0.2))
    await upstream.aclose()

"""The contract of every upstream: the fake alone, and both real ones against a gateway over that fake."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from gateway.config import Config
from gateway.core.call import Operation, Protocol
from gateway.core.errors import DeadlineExceeded, UpstreamUnavailable
from gateway.upstreams.base import Upstream
from gateway.upstreams.fake import FakeUpstream
from gateway.upstreams.grpc import GrpcUpstream
from gateway.upstreams.http import HttpUpstream
from tests.gateway.conftest import FakeGateway, MakeCall

pytestmark = pytest.mark.parametrize("kind", ["fake http", "fake grpc", "http", "grpc"])


@pytest.fixture
def protocol(kind: str) -> Protocol:
    return Protocol(kind.rsplit(maxsplit=1)[-1])


@pytest.fixture
def served(kind: str, fake_gateway: FakeGateway) -> FakeUpstream:
    return fake_gateway.upstream


@pytest.fixture
async def upstream(kind: str, fake_gateway: FakeGateway, config: Config) -> AsyncIterator[Upstream]:
    made: Upstream = fake_gateway.upstream
    if kind == "http":
        made = HttpUpstream(fake_gateway.http, config.limits)
    elif kind == "grpc":
        made = GrpcUpstream(fake_gateway.grpc, config.limits)
    yield made
    await made.aclose()


def body(protocol: Protocol) -> bytes:
    return b'{"inputs":[]}' if protocol is Protocol.HTTP else b"\x0a\x04echo\x3a\x03abc"


async def test_an_inference_comes_back(upstream: Upstream, protocol: Protocol, make_call: MakeCall) -> None:
    reply = await upstream.infer(make_call(protocol=protocol, body=body(protocol)))
    assert reply.status == (200 if protocol is Protocol.HTTP else 0)
    assert reply.body == body(protocol)


async def test_every_operation_is_answered(upstream: Upstream, protocol: Protocol, make_call: MakeCall) -> None:
    for operation in Operation:
        model = "echo" if operation.value.startswith(("model", "infer")) else ""
        message = b"\x0a\x04echo" if model and protocol is Protocol.GRPC else b""
        call = make_call(protocol=protocol, operation=operation, model=model, body=message)
        assert (await upstream.infer(call)).status == (200 if protocol is Protocol.HTTP else 0)


async def test_a_refusal_is_an_answer(upstream: Upstream, protocol: Protocol, make_call: MakeCall) -> None:
    message = b"\x0a\x04nope" if protocol is Protocol.GRPC else b""
    call = make_call(protocol=protocol, operation=Operation.MODEL_METADATA, model="nope", body=message)
    reply = await upstream.infer(call)
    assert reply.status == (404 if protocol is Protocol.HTTP else 5)
    assert b"'nope' is not found" in reply.body + reply.message.encode()


async def test_time_that_is_up_is_said(
    upstream: Upstream, protocol: Protocol, served: FakeUpstream, make_call: MakeCall
) -> None:
    served.gate.clear()
    with pytest.raises(DeadlineExceeded):
        await upstream.infer(make_call(protocol=protocol, body=body(protocol), seconds=0.1))
    served.gate.set()
    reply = await upstream.infer(make_call(protocol=protocol, body=body(protocol)))
    assert reply.body == body(protocol)


async def test_a_closed_upstream_is_unavailable(upstream: Upstream, protocol: Protocol, make_call: MakeCall) -> None:
    await upstream.infer(make_call(protocol=protocol, body=body(protocol)))
    await upstream.aclose()
    with pytest.raises(UpstreamUnavailable):
        await upstream.infer(make_call(protocol=protocol, body=body(protocol)))


async def test_a_call_keeps_its_own_body(upstream: Upstream, protocol: Protocol, make_call: MakeCall) -> None:
    call = make_call(protocol=protocol, body=body(protocol))
    before = replace(call)
    await upstream.infer(call)
    assert call == before

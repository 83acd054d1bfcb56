"""The contract of every upstream: the fake, both real ones against it on real sockets, and a pool of two of each."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from msgspec.structs import replace

from gateway.config import BalanceSection, LimitsSection
from gateway.core.call import Body, Call, Metadata, Operation, Protocol
from gateway.core.errors import ClientGone, DeadlineExceeded, UpstreamBroken, UpstreamError, UpstreamUnavailable
from gateway.upstreams.base import Upstream
from gateway.upstreams.fake import FakeClient, FakeUpstream
from gateway.upstreams.fake_faults import Answer, Fail, Fault, Reset, Slow
from gateway.upstreams.fake_triton import FakeTriton
from gateway.upstreams.grpc import GrpcUpstream
from gateway.upstreams.http import HttpUpstream
from gateway.upstreams.pool import Endpoint, Pool
from gateway.wire import oip_grpc, oip_http
from tests.gateway.conftest import MakeCall

pytestmark = pytest.mark.parametrize("kind", ["fake http", "fake grpc", "http", "grpc", "pool http", "pool grpc"])

HTTP_LINES = [
    b"GET /v2",
    b"GET /v2/health/live",
    b"GET /v2/health/ready",
    b"POST /v2/repository/index",
    b"POST /v2/repository/models/echo/load",
    b"GET /v2/models/echo",
    b"GET /v2/models/echo/versions/1/config",
    b"GET /v2/models/echo/ready",
    b"GET /v2/models/echo/stats",
    b"GET /v2/models/stats",
    b"POST /v2/models/echo/infer",
    b"POST /v2/models/echo/generate",
    b"GET /v2/trace/setting",
    b"POST /v2/models/echo/trace/setting",
    b"POST /v2/logging",
    b"GET /v2/systemsharedmemory/status",
    b"POST /v2/cudasharedmemory/region/r/register",
]
GRPC_PATHS = [path for path, method in oip_grpc.METHODS.items() if not method.streaming]


class Served:
    """What answers in the end.

    Attributes:
        fake: its answers, and the calls that came.
        fault: what happens to inferences.
    """

    def __init__(self) -> None:
        self.fault: Fault = Answer()
        self.fake = FakeUpstream(
            script=lambda call: Answer() if call.operation is Operation.REPOSITORY_INDEX else self.fault, responses=2
        )

    @property
    def calls(self) -> list[Call]:
        """Those that the pool's checks did not make."""
        return [call for call in self.fake.calls if call.operation is not Operation.REPOSITORY_INDEX]


@pytest.fixture
def protocol(kind: str) -> Protocol:
    return Protocol(kind.rsplit(maxsplit=1)[-1])


@pytest.fixture
def served() -> Served:
    return Served()


@pytest.fixture
async def triton(served: Served) -> AsyncIterator[FakeTriton]:
    async with FakeTriton(served.fake) as running:
        yield running


@pytest.fixture
async def upstream(kind: str, served: Served, triton: FakeTriton) -> AsyncIterator[Upstream]:
    def real() -> tuple[HttpUpstream, GrpcUpstream]:
        limits = LimitsSection()
        return HttpUpstream(triton.http, limits), GrpcUpstream(triton.grpc, limits)

    unused: list[Upstream] = []
    made: Upstream = served.fake
    if kind in ("http", "grpc"):
        http, grpc = real()
        made, other = (http, grpc) if kind == "http" else (grpc, http)
        unused.append(other)
    elif kind.startswith("pool"):
        pool = Pool([Endpoint(name, *real()) for name in "ab"], BalanceSection(check_seconds=3600))
        await pool.start()
        made = pool
    yield made
    for one in (made, *unused):
        await one.aclose()


@pytest.fixture
def infer(protocol: Protocol, make_call: MakeCall) -> Callable[..., Call]:
    """A good inference of the protocol."""

    def make(model: str = "echo", seconds: float = 10.0) -> Call:
        body = b'{"inputs":[]}' if protocol is Protocol.HTTP else b"\x0a%c%s" % (len(model), model.encode())
        line = b"POST /v2/models/%s/infer" % model.encode() if protocol is Protocol.HTTP else None
        return make_call(protocol=protocol, model=model, body=body, line=line, seconds=seconds)

    return make


@pytest.fixture
def stream_call(protocol: Protocol, make_call: MakeCall) -> Callable[..., Call]:
    """A stream of the protocol; over HTTP its one request is the body."""

    def make(model: str = "echo", seconds: float = 10.0) -> Call:
        http = protocol is Protocol.HTTP
        return make_call(
            protocol=protocol,
            operation=Operation.GENERATE_STREAM if http else Operation.STREAM_INFER,
            model=model,
            body=b'{"n":1}' if http else b"",
            line=b"POST /v2/models/%s/generate_stream" % model.encode()
            if http
            else b"/inference.GRPCInferenceService/ModelStreamInfer",
            seconds=seconds,
        )

    return make


MakeInfer = Callable[..., Call]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def test_an_inference_comes_back(upstream: Upstream, infer: MakeInfer) -> None:
    call = infer()
    reply = await upstream.infer(call)
    assert reply.status == (200 if call.protocol is Protocol.HTTP else 0)
    assert reply.body == call.body


async def test_large_bodies_come_back(upstream: Upstream, infer: MakeInfer) -> None:
    call = infer()
    tail = bytes(3_000_000)
    if call.protocol is Protocol.HTTP:
        call = replace(call, metadata=((oip_http.HEAD_LENGTH, b"%d" % call.head_len),))
    else:
        tail = b"\x3a\xc0\x8d\xb7\x01" + tail
    call = replace(call, body=bytearray(call.body + tail))
    for _ in range(2):
        assert bytes((await upstream.infer(call)).body) == call.body


async def test_many_at_once_are_not_mixed_up(upstream: Upstream, infer: MakeInfer) -> None:
    call = infer()
    tail = b" " if call.protocol is Protocol.HTTP else b"\x3a\x00"
    calls = [replace(call, body=call.body + tail * number) for number in range(50)]
    replies = await asyncio.gather(*[upstream.infer(one) for one in calls])
    assert [reply.body for reply in replies] == [one.body for one in calls]


async def test_every_operation_is_answered(
    upstream: Upstream, protocol: Protocol, served: Served, make_call: MakeCall
) -> None:
    for line in HTTP_LINES if protocol is Protocol.HTTP else [path.encode() for path in GRPC_PATHS]:
        if protocol is Protocol.HTTP:
            route = oip_http.match(*line.split(b" "))
            body = b"{}" if line.startswith(b"POST") else b""
            call = make_call(operation=route.operation, line=line, model=route.model, version=route.version, body=body)
        else:
            method = oip_grpc.METHODS[line.decode()]
            names = {name: number for number, name in method.fields.items()}
            body = b"%c\x04echo" % (names["model"] << 3 | 2) if "model" in names else b""
            model = "echo" if body else ""
            call = make_call(protocol=protocol, operation=method.operation, line=line, model=model, body=body)
        served.fake.ready.add("echo")
        served.fake.calls.clear()
        reply = await upstream.infer(call)
        assert reply.status == (200 if protocol is Protocol.HTTP else 0), line
        asked = [(one.operation, one.model, one.version, one.line) for one in served.fake.calls]
        assert (call.operation, call.model, call.version, line) in asked


async def test_a_refusal_is_an_answer(upstream: Upstream, protocol: Protocol, infer: MakeInfer) -> None:
    reply = await upstream.infer(infer("nope"))
    assert reply.status == (404 if protocol is Protocol.HTTP else 5)
    assert b"'nope' is not found" in bytes(reply.body) + reply.message.encode()


async def test_unavailable_is_an_answer_when_triton_says_it(
    upstream: Upstream, protocol: Protocol, served: Served, infer: MakeInfer
) -> None:
    status = 503 if protocol is Protocol.HTTP else 14
    served.fault = Fail(status, "queue full")
    reply = await upstream.infer(infer())
    assert reply.status == status
    assert b"queue full" in bytes(reply.body) + reply.message.encode()
    assert len(served.calls) == 1


async def test_time_that_is_up_is_said(upstream: Upstream, served: Served, infer: MakeInfer) -> None:
    served.fake.gate.clear()
    with pytest.raises(DeadlineExceeded):
        await upstream.infer(infer(seconds=0.1))
    served.fake.gate.set()
    assert (await upstream.infer(infer())).body == infer().body


async def test_time_that_was_up_before_is_said(upstream: Upstream, infer: MakeInfer) -> None:
    with pytest.raises(DeadlineExceeded):
        await upstream.infer(infer(seconds=-1))


async def test_a_connection_that_breaks_is_said_and_made_again(
    upstream: Upstream, served: Served, infer: MakeInfer
) -> None:
    await upstream.infer(infer())
    served.fault = Reset()
    with pytest.raises(UpstreamBroken) as caught:
        await upstream.infer(infer())
    assert "127.0.0.1" not in caught.value.message
    assert len(served.calls) == 2  # what may have been executed is not sent again
    served.fault = Answer()
    assert (await upstream.infer(infer())).body == infer().body


async def test_nobody_there_is_unavailable_until_somebody_is(
    kind: str, upstream: Upstream, served: Served, triton: FakeTriton, infer: MakeInfer
) -> None:
    await upstream.infer(infer())
    await triton.refuse()
    served.fake.down = kind.startswith("fake")
    with pytest.raises(UpstreamError):  # a connection that was open may be noticed to be gone only now
        await upstream.infer(infer())
    with pytest.raises(UpstreamUnavailable) as caught:
        await upstream.infer(infer())
    assert "127.0.0.1" not in caught.value.message
    await triton.listen()
    served.fake.down = False
    async with asyncio.timeout(10):
        while True:
            try:
                reply = await upstream.infer(infer())
                break
            except UpstreamUnavailable:  # it may pause between two attempts to connect
                await asyncio.sleep(0.01)
    assert reply.body == infer().body


async def test_a_call_that_is_cancelled_leaves_the_upstream_well(
    upstream: Upstream, served: Served, infer: MakeInfer
) -> None:
    served.fake.gate.clear()
    task = asyncio.create_task(upstream.infer(infer()))
    await until(lambda: len(served.calls) == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    served.fake.gate.set()
    assert (await upstream.infer(infer())).body == infer().body


async def test_a_closed_upstream_is_unavailable(upstream: Upstream, infer: MakeInfer) -> None:
    await upstream.infer(infer())
    await upstream.aclose()
    with pytest.raises(UpstreamUnavailable):
        await upstream.infer(infer())
    await upstream.aclose()


async def test_a_call_keeps_its_own_body(upstream: Upstream, infer: MakeInfer) -> None:
    call = infer()
    before = replace(call)
    await upstream.infer(call)
    assert call == before


def joined(client: FakeClient) -> bytes:
    return b"".join(bytes(message) for message in client.received)


async def test_a_stream_comes_back_message_by_message(
    upstream: Upstream, protocol: Protocol, stream_call: MakeInfer
) -> None:
    if protocol is Protocol.HTTP:
        client = FakeClient()
        assert (await upstream.stream(stream_call(), client)).status == 200
        assert client.metadata is not None
        assert dict(client.metadata)[b"content-type"] == b"text/event-stream"
        assert joined(client) == b'data: {"n":1}\n\n' * 2
    else:
        client = FakeClient(b"1", b"", b"3" * 100_000)
        assert (await upstream.stream(stream_call(), client)).status == 0
        assert client.metadata is not None
        assert client.received == [b"1", b"1", b"", b"", b"3" * 100_000, b"3" * 100_000]


async def test_a_refused_stream_was_never_on(
    upstream: Upstream, protocol: Protocol, served: Served, stream_call: MakeInfer
) -> None:
    served.fault = Fail(503 if protocol is Protocol.HTTP else 14, "queue full")
    client = FakeClient(b"1")
    reply = await upstream.stream(stream_call(), client)
    assert (reply.status, client.metadata) == (served.fault.status, None)
    assert b"queue full" in bytes(reply.body) + reply.message.encode()
    assert len(served.calls) == 1


async def test_a_stream_that_dies_is_broken(
    upstream: Upstream, protocol: Protocol, served: Served, stream_call: MakeInfer
) -> None:
    served.fault = Reset(after=1)
    client = FakeClient(b"1", b"2")
    with pytest.raises(UpstreamBroken):
        await upstream.stream(stream_call(), client)
    assert len(served.calls) == 1
    whole = b'data: {"n":1}\n\n' if protocol is Protocol.HTTP else b"1"
    assert whole.startswith(joined(client))  # a reset may overtake what was sent before


async def test_a_stream_whose_time_is_up_says_so(upstream: Upstream, served: Served, stream_call: MakeInfer) -> None:
    served.fault = Slow()
    with pytest.raises(DeadlineExceeded):
        await upstream.stream(stream_call(seconds=0.1), FakeClient(b"1"))


async def test_a_stream_that_is_cancelled_leaves_the_upstream_well(
    upstream: Upstream, served: Served, stream_call: MakeInfer, infer: MakeInfer
) -> None:
    served.fake.gate.clear()
    task = asyncio.create_task(upstream.stream(stream_call(), FakeClient(b"1")))
    await until(lambda: len(served.calls) == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    served.fake.gate.set()
    assert (await upstream.infer(infer())).body == infer().body


async def test_a_client_that_is_gone_ends_its_stream(
    upstream: Upstream, stream_call: MakeInfer, infer: MakeInfer
) -> None:
    class Gone(FakeClient):
        async def send(self, message: Body) -> None:
            raise ClientGone("gone")

    with pytest.raises(ClientGone):
        await upstream.stream(stream_call(), Gone(b"1"))
    assert (await upstream.infer(infer())).body == infer().body


async def test_a_client_may_stay_silent_after_its_answers(
    upstream: Upstream, protocol: Protocol, stream_call: MakeInfer
) -> None:
    """Answers come while the client has not said all: neither side waits for the end of the other."""

    class Waiting(FakeClient):
        def __init__(self) -> None:
            super().__init__(b"1")
            self.answered = asyncio.Event()

        async def receive(self) -> Body | None:
            message = await super().receive()
            if message is None:
                await self.answered.wait()
            return message

        async def start(self, metadata: Metadata) -> None:
            await super().start(metadata)

        async def send(self, message: Body) -> None:
            await super().send(message)
            self.answered.set()

    client = Waiting()
    async with asyncio.timeout(5):
        reply = await upstream.stream(stream_call(), client)
    assert reply.status == (200 if protocol is Protocol.HTTP else 0)
    assert client.answered.is_set()

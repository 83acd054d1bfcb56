import asyncio
import json

import pytest

from gateway.core.call import Operation, Protocol, Sequence
from gateway.core.errors import DeadlineExceeded, UpstreamBroken, UpstreamUnavailable
from gateway.upstreams.fake import FakeClient, FakeUpstream, Spoiled
from gateway.upstreams.fake_faults import Answer, Fail, HalfClose, Refuse, Reset, Slow, Truncate, WrongLength
from tests.gateway.conftest import MakeCall

GRPC = Protocol.GRPC


async def test_calls_wait_at_the_gate_and_are_remembered(make_call: MakeCall) -> None:
    upstream = FakeUpstream("m")
    upstream.gate.clear()
    waiting = asyncio.create_task(upstream.infer(make_call(model="m", body=b"{}")))
    while not upstream.calls:
        await asyncio.sleep(0)
    assert not waiting.done()
    upstream.gate.set()
    assert (await waiting).body == b"{}"


async def test_an_unknown_version_is_unknown(make_call: MakeCall) -> None:
    reply = await FakeUpstream("m").infer(make_call(model="m", version="2"))
    assert reply.status == 404
    assert b"'m' version 2 is not found" in reply.body


async def test_a_script_says_what_happens(make_call: MakeCall) -> None:
    upstream = FakeUpstream(script=[Refuse(), Reset(), Slow(), Fail(503, "queue full"), Slow(0.001), Answer()])
    with pytest.raises(UpstreamUnavailable):
        await upstream.infer(make_call())
    assert not upstream.calls  # nothing was sent
    with pytest.raises(UpstreamBroken):
        await upstream.infer(make_call())
    with pytest.raises(DeadlineExceeded):
        await upstream.infer(make_call(seconds=0.01))
    reply = await upstream.infer(make_call())
    assert (reply.status, json.loads(reply.body)) == (503, {"error": "queue full"})
    assert [(await upstream.infer(make_call())).status for _ in range(2)] == [200, 200]
    assert len(upstream.calls) == 5


@pytest.mark.parametrize("fault", [HalfClose(), Truncate(), WrongLength()])
async def test_a_spoiled_answer_is_a_broken_connection(
    make_call: MakeCall, fault: HalfClose | Truncate | WrongLength
) -> None:
    with pytest.raises(UpstreamBroken) as caught:
        await FakeUpstream(script=[fault]).infer(make_call(body=b"{}"))
    assert isinstance(caught.value, Spoiled)
    assert (caught.value.fault, caught.value.reply.body) == (fault, b"{}")


async def test_what_is_down_refuses_everything(make_call: MakeCall) -> None:
    upstream = FakeUpstream()
    upstream.down = True
    with pytest.raises(UpstreamUnavailable):
        await upstream.infer(make_call(operation=Operation.SERVER_LIVE))


async def test_models_are_loaded_and_unloaded(make_call: MakeCall) -> None:
    upstream = FakeUpstream("m")
    await upstream.infer(make_call(operation=Operation.LOAD_MODEL, model="new"))
    await upstream.infer(make_call(operation=Operation.UNLOAD_MODEL, model="m"))
    reply = await upstream.infer(make_call(operation=Operation.REPOSITORY_INDEX, model=""))
    assert json.loads(reply.body) == [{"name": "new", "version": "1", "state": "READY"}]
    reply = await upstream.infer(make_call(protocol=GRPC, operation=Operation.REPOSITORY_INDEX, model=""))
    assert reply.body == b"\x0a\x0f\x0a\x03new\x12\x011\x1a\x05READY"


@pytest.mark.parametrize(("protocol", "status"), [(Protocol.HTTP, 400), (GRPC, 3)])
async def test_a_sequence_must_be_started(make_call: MakeCall, protocol: Protocol, status: int) -> None:
    upstream = FakeUpstream()
    seen = [
        (await upstream.infer(make_call(protocol=protocol, sequence=sequence))).status
        for sequence in (Sequence("7"), Sequence("7", start=True), Sequence("7", end=True), Sequence("7"))
    ]
    well = 200 if protocol is Protocol.HTTP else 0
    assert seen == [status, well, well, status]


async def test_a_stream_answers_each_request_so_many_times(make_call: MakeCall) -> None:
    upstream, client = FakeUpstream(responses=2), FakeClient(b"1", b"2")
    assert (await upstream.stream(make_call(protocol=GRPC, operation=Operation.STREAM_INFER), client)).status == 0
    assert (client.metadata, client.received) == ((), [b"1", b"1", b"2", b"2"])
    events = FakeClient()
    await upstream.stream(make_call(operation=Operation.GENERATE_STREAM, body=b"{}"), events)
    assert events.metadata == ((b"content-type", b"text/event-stream"),)
    assert events.received == [b"data: {}\n\n"] * 2


async def test_a_stream_dies_after_so_many_messages(make_call: MakeCall) -> None:
    call = make_call(protocol=GRPC, operation=Operation.STREAM_INFER)
    client = FakeClient(b"1", b"2", b"3")
    with pytest.raises(UpstreamBroken):
        await FakeUpstream(script=[Reset(after=2)]).stream(call, client)
    assert client.received == [b"1", b"2"]


async def test_a_stream_that_is_refused_is_never_on(make_call: MakeCall) -> None:
    client = FakeClient()
    reply = await FakeUpstream().stream(make_call(operation=Operation.GENERATE_STREAM, model="nope"), client)
    assert (reply.status, client.metadata) == (404, None)

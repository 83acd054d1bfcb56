from collections.abc import Sequence as List
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.core.call import Call, Operation, Protocol, Reply, Sequence
from gateway.core.errors import UpstreamUnavailable
from gateway.core.policy import fold
from gateway.policies.record import Record
from gateway.tap.exchange import Exchange
from gateway.tap.fake import FakeTap
from gateway.tap.sections import RecordingSection
from gateway.upstreams.fake import FakeClient, FakeUpstream
from gateway.upstreams.fake_faults import Fail
from tests.gateway.conftest import MakeCall

EACH = RecordingSection(every=1)
LENGTH = b"inference-header-content-length"


async def recorded(
    section: RecordingSection, *calls: Call, chances: List[float] = (), fails: bool = False, **more: Any
) -> list[Exchange]:
    """What is offered of the calls."""
    tap = FakeTap()
    random = iter(chances).__next__ if chances else lambda: 0.0
    upstream = FakeUpstream(script=[Fail(500, "no")] if fails else ())
    chain = fold([Record(section, tap, random=random, **more)], upstream)
    for call in calls:
        assert await chain.infer(call) == await upstream.infer(call)
    return tap.offered


@pytest.mark.parametrize("protocol", Protocol)
async def test_inferences_that_triton_answered_are_offered_with_their_answer(
    make_call: MakeCall, protocol: Protocol
) -> None:
    [exchange] = await recorded(EACH, make_call(protocol=protocol, body=b"a body", version="1"))
    assert (exchange.purpose, exchange.protocol, exchange.model) == ("record", protocol.value, "echo")
    assert (exchange.version, exchange.request_id, exchange.header_length) == ("1", "a-request", None)
    assert exchange.arrived > 1_700_000_000_000_000_000
    [answer] = exchange.answers
    assert (exchange.request, answer.body) == (b"a body", b"a body")
    assert answer.status == (200 if protocol is Protocol.HTTP else 0)
    assert 0 < answer.seconds < 10
    assert (answer.header_length, answer.encoding) == (None, "")


async def test_lengths_of_heads_and_the_answer_s_encoding_are_told(make_call: MakeCall) -> None:
    class Answers(FakeUpstream):
        async def infer(self, call: Call) -> Reply:
            return Reply(200, ((LENGTH, b"7"), (b"content-encoding", b"gzip")), bytearray(b"an answer"))

    tap = FakeTap()
    call = make_call(body=bytearray(b"a body"), metadata=((LENGTH, b"6"), (b"x-team", b"vision")))
    await fold([Record(EACH, tap, "X-Team")], Answers()).infer(call)
    [exchange] = tap.offered
    assert (exchange.header_length, exchange.tenant, type(exchange.request)) == (6, "vision", bytes)
    [answer] = exchange.answers
    assert (answer.header_length, answer.encoding, answer.body) == (7, "gzip", b"an answer")


async def test_who_is_known_is_the_tenant(make_call: MakeCall) -> None:
    call = make_call(body=b"a body", metadata=((b"x-team", b"vision"),))
    tap = FakeTap()
    await fold([Record(EACH, tap, "x-team")], FakeUpstream()).infer(replace(call, principal="sales"))
    assert [exchange.tenant for exchange in tap.offered] == ["sales"]


async def test_answers_may_be_left_out(make_call: MakeCall) -> None:
    [exchange] = await recorded(RecordingSection(every=1, answers=False), make_call(body=b"a body"))
    assert exchange.answers[0].body == b""


async def test_a_route_s_model_is_called_as_clients_call_it(make_call: MakeCall) -> None:
    call = make_call(body=b"a body", version="1")
    routed = replace(call, route="shop", variant="echo-1")
    section = RecordingSection(every=1, models=("public",))
    [exchange] = await recorded(section, routed, call, public={"shop": "public"})
    assert (exchange.model, exchange.version, exchange.route) == ("public", "", "shop")
    [answer] = exchange.answers
    assert (answer.target, answer.model, answer.version) == ("echo-1", "echo", "1")


async def test_chance_keeps_one_of_so_many(make_call: MakeCall) -> None:
    calls = [make_call(body=str(number).encode()) for number in range(4)]
    kept = await recorded(RecordingSection(every=4), *calls, chances=[0.25, 0.2499, 0.9999, 0.0])
    assert [exchange.request for exchange in kept] == [b"1", b"3"]


async def test_only_the_models_that_are_named(make_call: MakeCall) -> None:
    call = make_call(body=b"a body")
    assert await recorded(RecordingSection(every=1, models=("other",)), call) == []
    assert len(await recorded(RecordingSection(every=1, models=("other", "echo")), call)) == 1


@pytest.mark.parametrize("protocol", Protocol)
async def test_what_triton_refuses_is_not_kept(make_call: MakeCall, protocol: Protocol) -> None:
    assert await recorded(EACH, make_call(protocol=protocol, body=b"a body"), fails=True) == []
    assert await recorded(EACH, make_call(protocol=protocol, body=b"a body", model="unknown")) == []


async def test_what_fails_on_the_way_is_not_kept(make_call: MakeCall) -> None:
    tap, upstream = FakeTap(), FakeUpstream()
    upstream.down = True
    with pytest.raises(UpstreamUnavailable):
        await fold([Record(EACH, tap)], upstream).infer(make_call(body=b"a body"))
    assert tap.offered == []


async def test_what_means_nothing_alone_is_not_kept(make_call: MakeCall) -> None:
    calls = [
        make_call(operation=Operation.GENERATE, body=b"{}"),
        make_call(operation=Operation.MODEL_METADATA, body=b"{}"),
        make_call(sequence=Sequence("7", start=True), body=b"{}"),
        make_call(body=b""),  # raw: no head that names its input
        make_call(body=b'{"parameters":{"shared_memory_region":"r"}}'),
    ]
    assert await recorded(EACH, *calls) == []


async def test_a_tap_without_room_changes_nothing(make_call: MakeCall) -> None:
    tap = FakeTap()
    tap.refuses = True
    assert (await fold([Record(EACH, tap)], FakeUpstream()).infer(make_call(body=b"a body"))).status == 200


async def test_streams_go_on_and_are_not_kept(make_call: MakeCall) -> None:
    tap, client = FakeTap(), FakeClient(b"a", b"b")
    call = make_call(protocol=Protocol.GRPC, operation=Operation.STREAM_INFER)
    assert await fold([Record(EACH, tap)], FakeUpstream()).stream(call, client) == Reply(0)
    assert (client.received, tap.offered) == ([b"a", b"b"], [])

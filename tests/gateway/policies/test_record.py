from collections.abc import Sequence as List

import pytest

from gateway.config import RecordingSection
from gateway.core.call import Call, Operation, Protocol, Reply, Sequence
from gateway.core.errors import UpstreamUnavailable
from gateway.core.policy import fold
from gateway.policies.record import Record
from gateway.recorder import Recorder
from gateway.upstreams.fake import FakeClient, FakeUpstream
from gateway.upstreams.fake_faults import Fail
from tests.gateway.conftest import MakeCall

EACH = RecordingSection(every=1)


async def recorded(
    section: RecordingSection, *calls: Call, chances: List[float] = (), fails: bool = False
) -> list[Call]:
    """Those of the calls that are kept."""
    kept: list[Call] = []
    recorder = Recorder(lambda _section, call, _arrived: kept.append(call))
    random = iter(chances).__next__ if chances else lambda: 0.0
    upstream = FakeUpstream(script=[Fail(500, "no")] if fails else ())
    chain = fold([Record(section, recorder, random)], upstream)
    for call in calls:
        assert await chain.infer(call) == await upstream.infer(call)
    await recorder.aclose()
    return kept


@pytest.mark.parametrize("protocol", Protocol)
async def test_inferences_that_triton_answered_are_kept(make_call: MakeCall, protocol: Protocol) -> None:
    call = make_call(protocol=protocol, body=b"a body")
    assert await recorded(EACH, call) == [call]


async def test_chance_keeps_one_of_so_many(make_call: MakeCall) -> None:
    calls = [make_call(body=str(number).encode()) for number in range(4)]
    kept = await recorded(RecordingSection(every=4), *calls, chances=[0.25, 0.2499, 0.9999, 0.0])
    assert kept == [calls[1], calls[3]]


async def test_only_the_models_that_are_named(make_call: MakeCall) -> None:
    call = make_call(body=b"a body")
    assert await recorded(RecordingSection(every=1, models=("other",)), call) == []
    assert await recorded(RecordingSection(every=1, models=("other", "echo")), call) == [call]


@pytest.mark.parametrize("protocol", Protocol)
async def test_what_triton_refuses_is_not_kept(make_call: MakeCall, protocol: Protocol) -> None:
    assert await recorded(EACH, make_call(protocol=protocol, body=b"a body"), fails=True) == []
    assert await recorded(EACH, make_call(protocol=protocol, body=b"a body", model="unknown")) == []


async def test_what_fails_on_the_way_is_not_kept(make_call: MakeCall) -> None:
    kept: list[Call] = []
    recorder, upstream = Recorder(lambda _section, call, _arrived: kept.append(call)), FakeUpstream()
    upstream.down = True
    with pytest.raises(UpstreamUnavailable):
        await fold([Record(EACH, recorder)], upstream).infer(make_call(body=b"a body"))
    await recorder.aclose()
    assert kept == []


async def test_what_is_no_calibration_data_is_not_kept(make_call: MakeCall) -> None:
    calls = [
        make_call(operation=Operation.GENERATE, body=b"{}"),
        make_call(operation=Operation.MODEL_METADATA, body=b"{}"),
        make_call(sequence=Sequence("7", start=True), body=b"{}"),
        make_call(body=b""),  # raw: no head that names its input
    ]
    assert await recorded(EACH, *calls) == []


async def test_streams_go_on_and_are_not_kept(make_call: MakeCall) -> None:
    kept: list[Call] = []
    recorder, client = Recorder(lambda _section, call, _arrived: kept.append(call)), FakeClient(b"a", b"b")
    call = make_call(protocol=Protocol.GRPC, operation=Operation.STREAM_INFER)
    assert await fold([Record(EACH, recorder)], FakeUpstream()).stream(call, client) == Reply(0)
    await recorder.aclose()
    assert (client.received, kept) == ([b"a", b"b"], [])

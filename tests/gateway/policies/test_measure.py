import asyncio

import pytest
from msgspec.structs import replace

from gateway.core.call import Call, ClientStream, Operation, Protocol, Reply
from gateway.core.errors import ClientGone, DeadlineExceeded, GatewayError, Overloaded, ShuttingDown, UpstreamBroken
from gateway.core.policy import fold
from gateway.policies.measure import Measure
from gateway.traffic.latency import bin_of
from gateway.traffic.measures import Measures
from gateway.traffic.sections import TrafficSection
from gateway.traffic.snapshot import Override, Snapshot
from gateway.upstreams.fake import FakeClient, FakeUpstream
from gateway.upstreams.fake_faults import Fail
from tests.gateway.conftest import MakeCall

SECTION = TrafficSection.model_validate({"routes": [{"model": "echo"}]})
STREAMS = {Protocol.HTTP: Operation.GENERATE_STREAM, Protocol.GRPC: Operation.STREAM_INFER}


@pytest.fixture
def measures() -> Measures:
    made = Measures()
    made.follow(SECTION, Snapshot(1, {"echo": Override(SECTION.routes[0].digest, epoch="e")}))
    return made


def counted(measures: Measures) -> tuple[int, int]:
    """How many went well, and how many did not."""
    found = measures.report()["routes"].get("echo", {"variants": {"v": {"ok": 0, "failed": 0}}})["variants"]["v"]
    return found["ok"], found["failed"]


def latency(measures: Measures) -> dict[str, int]:
    found: dict[str, int] = measures.report()["routes"]["echo"]["window"]["variants"]["v"]["latency"]
    return found


def routed(call: Call) -> Call:
    return replace(call, route="echo", variant="v")


class Raises(FakeUpstream):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    async def infer(self, call: Call) -> Reply:
        raise self.error

    async def stream(self, call: Call, client: ClientStream) -> Reply:
        raise self.error


@pytest.mark.parametrize("protocol", Protocol)
@pytest.mark.parametrize("operation", [Operation.INFER, Operation.GENERATE])
async def test_what_goes_well_is_counted_with_its_latency(
    make_call: MakeCall, measures: Measures, protocol: Protocol, operation: Operation
) -> None:
    clock = iter([1.0, 1.25]).__next__
    call = routed(make_call(protocol=protocol, operation=operation, body=b"{}"))
    await fold([Measure(measures, now=clock)], FakeUpstream()).infer(call)
    assert counted(measures) == (1, 0)
    assert latency(measures) == {str(bin_of(0.25)): 1}


@pytest.mark.parametrize(("protocol", "status"), [(Protocol.HTTP, 400), (Protocol.HTTP, 500), (Protocol.GRPC, 3)])
async def test_triton_s_refusals_are_failures(
    make_call: MakeCall, measures: Measures, protocol: Protocol, status: int
) -> None:
    upstream = FakeUpstream(script=[Fail(status, "no")])
    chain = fold([Measure(measures)], upstream)
    await chain.infer(routed(make_call(protocol=protocol, body=b"{}")))
    assert counted(measures) == (0, 1)
    await chain.stream(routed(make_call(protocol=protocol, operation=STREAMS[protocol])), FakeClient())
    assert counted(measures) == (0, 2)
    assert latency(measures) == {}


@pytest.mark.parametrize(
    ("error", "failed"),
    [
        (UpstreamBroken("broken"), 1),
        (DeadlineExceeded("late"), 1),
        (ClientGone("gone"), 0),
        (Overloaded("full"), 0),
        (ShuttingDown("bye"), 0),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_errors_are_failures_unless_the_target_has_no_part_in_them(
    make_call: MakeCall, measures: Measures, error: GatewayError, failed: int
) -> None:
    chain = fold([Measure(measures)], Raises(error))
    with pytest.raises(type(error)):
        await chain.infer(routed(make_call()))
    assert counted(measures) == (0, failed)
    with pytest.raises(type(error)):
        await chain.stream(routed(make_call(operation=Operation.GENERATE_STREAM)), FakeClient())
    assert counted(measures) == (0, 2 * failed)


async def test_what_is_given_up_is_not_counted(make_call: MakeCall, measures: Measures) -> None:
    upstream = FakeUpstream()
    upstream.gate.clear()
    task = asyncio.ensure_future(fold([Measure(measures)], upstream).infer(routed(make_call())))
    while not upstream.calls:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert counted(measures) == (0, 0)


async def test_what_took_no_route_or_is_no_inference_is_not_counted(make_call: MakeCall, measures: Measures) -> None:
    chain = fold([Measure(measures)], FakeUpstream())
    await chain.infer(make_call(body=b"{}"))
    await chain.infer(routed(make_call(operation=Operation.MODEL_METADATA)))
    await chain.stream(make_call(operation=Operation.GENERATE_STREAM), FakeClient())
    assert measures.report()["routes"] == {}


@pytest.mark.parametrize("protocol", Protocol)
async def test_streams_are_counted_without_latency(make_call: MakeCall, measures: Measures, protocol: Protocol) -> None:
    client = FakeClient(b"\x12\x00", b"\x0a\x00\x12\x00")
    call = routed(make_call(protocol=protocol, operation=STREAMS[protocol], body=b'{"a":"data: {\\"error\\":"}'))
    await fold([Measure(measures)], FakeUpstream()).stream(call, client)
    assert (counted(measures), latency(measures)) == ((1, 0), {})
    assert client.metadata is not None


@pytest.mark.parametrize("protocol", Protocol)
async def test_an_error_in_the_middle_of_a_stream_is_a_failure(
    make_call: MakeCall, measures: Measures, protocol: Protocol
) -> None:
    client = FakeClient(b"\x12\x00", b"\x0a\x02no", b"\x12\x00")
    call = routed(make_call(protocol=protocol, operation=STREAMS[protocol], body=b'{"error":"no"}'))
    await fold([Measure(measures)], FakeUpstream()).stream(call, client)
    assert counted(measures) == (0, 1)
    assert len(client.received) == (3 if protocol is Protocol.GRPC else 1)


async def test_an_error_on_a_stream_counts_at_once_and_the_stream_once(make_call: MakeCall, measures: Measures) -> None:
    seen = []

    async def failing(call: Call, client: ClientStream) -> Reply:
        for message in (b"\x12\x00", b"\x0a\x02no", b"\x0a\x02no", b"\x12\x00"):
            await client.send(message)
            seen.append(counted(measures))
        return Reply(3, message="no")

    call = routed(make_call(protocol=Protocol.GRPC, operation=Operation.STREAM_INFER))
    await Measure(measures).stream(call, FakeClient(), failing)
    assert seen == [(0, 0), (0, 1), (0, 1), (0, 1)]
    assert counted(measures) == (0, 1)

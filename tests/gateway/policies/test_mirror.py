import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.core.call import Call, Operation, Protocol, Reply, Sequence
from gateway.core.errors import GatewayError, Overloaded, UpstreamBroken, UpstreamUnavailable
from gateway.core.policy import Next, fold
from gateway.policies.mirror import Mirror
from gateway.policies.mirroring import Mirroring
from gateway.tap.fake import FakeTap
from gateway.traffic.breaker import FAILURES
from gateway.traffic.measures import Measures
from gateway.traffic.mirrors import Mirrors
from gateway.traffic.sections import TrafficSection
from gateway.traffic.snapshot import Override, Snapshot
from gateway.upstreams.fake import FakeClient, FakeUpstream
from gateway.upstreams.fake_faults import Answer, Fail, Fault, Refuse, Reset, Slow
from gateway.wire.protobuf import length_delimited
from tests.gateway.conftest import MakeCall

OK = Reply(200, body=b"the answer")
ADDED = ((b"x", b"y"), (b"accept-encoding", b"gzip"))


class Upstreams:
    """What stands for the pool: originals and copies, told apart by the model.

    Attributes:
        calls: the copies, in order.
        gate: cleared, copies wait.
    """

    def __init__(self, *answers: Reply | GatewayError, original: Reply | GatewayError = OK) -> None:
        self.calls: list[Call] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._answers = iter(answers)
        self._original = original

    async def __call__(self, call: Call) -> Reply:
        if call.route:
            return _given(self._original)
        self.calls.append(call)
        await self.gate.wait()
        return _given(next(self._answers, OK))


def _given(answer: Reply | GatewayError) -> Reply:
    if isinstance(answer, GatewayError):
        raise answer
    return answer


class Rig:
    """A Mirror with all that belongs to it."""

    def __init__(self, upstreams: Next, *given: dict[str, Any], snapshot: Snapshot | None = None, chance: float = 0.0):
        route = {"model": "public", "targets": [{"model": "echo", "name": "old"}], "mirrors": given}
        self.follow(TrafficSection.model_validate({"routes": [route]}), snapshot or Snapshot(), upstreams, chance)

    def follow(self, section: TrafficSection, snapshot: Snapshot, upstreams: Next, chance: float) -> None:
        self.state, self.measures, self.tap = Mirroring(), Measures(), FakeTap()
        self.measures.follow(section, snapshot)
        mirrors = Mirrors.compile(section, snapshot)
        self.policy = Mirror(mirrors, self.state, self.measures, self.tap, random=lambda: chance)
        self.upstreams = upstreams

    async def ask(self, call: Call) -> Reply:
        return await self.policy(call, self.upstreams)

    async def settled(self) -> None:
        """All copies have ended."""
        async with asyncio.timeout(10):
            while self.state._tasks:
                await asyncio.sleep(0)

    def counted(self, mirror: str = "shadow", route: str = "public") -> dict[str, Any]:
        """What was counted of one mirror, without what is 0."""
        found = dict(self.measures.report()["routes"].get(route, {"mirrors": {}})["mirrors"].get(mirror, {}))
        found.pop("latency", None)
        found |= found.pop("dropped", {})
        return {what: count for what, count in found.items() if count}


@pytest.fixture
def routed(make_call: MakeCall) -> MakeCall:
    """A call that the policy `Route` has sent on its way."""

    def make(**given: Any) -> Call:
        return replace(make_call(**given), route="public", variant="old")

    return make


async def test_the_answer_is_the_client_s_before_the_copy_has_begun(routed: MakeCall) -> None:
    upstreams = Upstreams()
    upstreams.gate.clear()
    rig = Rig(upstreams, {"model": "shadow"})
    assert await rig.ask(routed()) == OK
    assert upstreams.calls == []
    await asyncio.sleep(0)
    assert len(upstreams.calls) == 1
    upstreams.gate.set()
    await rig.settled()
    assert rig.counted() == {"ok": 1}


async def test_an_http_copy_goes_to_the_shadow(routed: MakeCall) -> None:
    upstreams = Upstreams()
    rig = Rig(upstreams, {"model": "shadow", "version": 3, "upstreams": "shadows", "timeout_seconds": 5})
    metadata = ((b"accept-encoding", b"gzip"), (b"content-type", b"application/json"))
    call = replace(routed(body=b"{}", metadata=metadata, seconds=1000.0, version="1"), added=ADDED)
    await rig.ask(call)
    await rig.settled()
    (copy,) = upstreams.calls
    assert copy == replace(
        call,
        model="shadow",
        version="3",
        target="shadows",
        metadata=((b"content-type", b"application/json"),),
        added=ADDED[:1],
        deadline=copy.deadline,
        route="",
        variant="",
        retry=False,
    )
    assert copy.deadline.remaining() <= 5


async def test_a_copy_never_takes_longer_than_its_request_may(routed: MakeCall) -> None:
    upstreams = Upstreams()
    rig = Rig(upstreams, {"model": "shadow"})
    call = routed(seconds=1.5)
    await rig.ask(call)
    await rig.settled()
    assert upstreams.calls[0].deadline == call.deadline


def message(model: str, version: str = "") -> bytes:
    tail = length_delimited(3, b"an id") + length_delimited(7, bytes(100))
    return length_delimited(1, model.encode()) + (length_delimited(2, version.encode()) if version else b"") + tail


async def test_a_grpc_copy_names_the_shadow(routed: MakeCall) -> None:
    upstreams = Upstreams(Reply(0, body=b"its answer"), original=Reply(0))
    rig = Rig(upstreams, {"model": "shadow", "version": 3})
    await rig.ask(routed(protocol=Protocol.GRPC, body=message("echo")))
    await rig.settled()
    (copy,) = upstreams.calls
    assert (copy.model, copy.version, copy.body) == ("shadow", "3", message("shadow", "3"))
    assert rig.counted("shadow-3") == {"ok": 1}


async def test_a_grpc_message_that_names_the_shadow_already_is_not_written_anew(routed: MakeCall) -> None:
    upstreams = Upstreams(original=Reply(0))
    rig = Rig(upstreams, {"model": "echo", "upstreams": "shadows"})
    call = routed(protocol=Protocol.GRPC, body=message("echo"))
    await rig.ask(call)
    await rig.settled()
    assert upstreams.calls[0].body is call.body


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"sequence": Sequence("7", start=True)}, "part of a sequence means nothing"),
        ({"operation": Operation.MODEL_METADATA}, "no inference"),
    ],
)
async def test_what_is_not_copied(routed: MakeCall, given: dict[str, Any], why: str) -> None:
    upstreams = Upstreams()
    rig = Rig(upstreams, {"model": "shadow"})
    assert await rig.ask(routed(**given)) == OK
    await rig.settled()
    assert (upstreams.calls, rig.counted()) == ([], {})


async def test_generate_is_copied(routed: MakeCall) -> None:
    rig = Rig(Upstreams(), {"model": "shadow"})
    await rig.ask(routed(operation=Operation.GENERATE))
    await rig.settled()
    assert rig.counted() == {"ok": 1}


async def test_calls_of_no_route_or_another_pass(make_call: MakeCall, routed: MakeCall) -> None:
    upstream = FakeUpstream()
    rig = Rig(upstream.infer, {"model": "shadow"})
    for call in (make_call(), replace(routed(), route="other"), replace(routed(), variant="other")):
        assert (await rig.ask(call)).status == 200
    await rig.settled()
    assert len(upstream.calls) == 3


async def test_streams_pass(make_call: MakeCall) -> None:
    upstream, client = FakeUpstream(), FakeClient(b"a", b"b")
    rig = Rig(upstream.infer, {"model": "shadow"})
    call = replace(make_call(protocol=Protocol.GRPC, operation=Operation.STREAM_INFER), route="public", variant="old")
    assert await fold([rig.policy], upstream).stream(call, client) == Reply(0)
    assert (client.received, len(upstream.calls), rig.state._tasks) == ([b"a", b"b"], 1, set())


@pytest.mark.parametrize(("chance", "copies"), [(0.2499, 1), (0.25, 0)])
async def test_chance_decides(routed: MakeCall, chance: float, copies: int) -> None:
    rig = Rig(Upstreams(), {"model": "shadow", "percent": 25}, chance=chance)
    await rig.ask(routed())
    await rig.settled()
    assert rig.counted() == ({"ok": 1} if copies else {})


async def test_a_request_that_failed_on_the_way_is_not_copied(routed: MakeCall) -> None:
    upstreams = Upstreams(original=UpstreamUnavailable("gone"))
    rig = Rig(upstreams, {"model": "shadow"})
    with pytest.raises(UpstreamUnavailable):
        await rig.ask(routed())
    await rig.settled()
    assert (upstreams.calls, rig.state.clients) == ([], 0)


async def test_a_request_that_triton_refused_is_copied(routed: MakeCall) -> None:
    rig = Rig(Upstreams(Reply(400), original=Reply(500)), {"model": "shadow"})
    assert (await rig.ask(routed())).status == 500
    await rig.settled()
    assert rig.counted() == {"failed": 1}


@pytest.mark.parametrize(("protocol", "status"), [(Protocol.HTTP, 503), (Protocol.GRPC, 14)])
async def test_answers_with_an_error_are_failures_of_a_shadow_that_answers(
    routed: MakeCall, protocol: Protocol, status: int
) -> None:
    rig = Rig(Upstreams(*[Reply(status)] * 20), {"model": "echo"})
    for _ in range(20):
        await rig.ask(routed(protocol=protocol, body=message("echo")))
        await rig.settled()
    assert rig.counted("echo") == {"failed": 20}


@pytest.mark.parametrize("error", [UpstreamUnavailable("gone"), UpstreamBroken("cut")])
async def test_a_dead_shadow_is_hardly_asked(routed: MakeCall, error: GatewayError) -> None:
    upstreams = Upstreams(*[error] * 100)
    rig = Rig(upstreams, {"model": "shadow"})
    for _ in range(50):
        assert await rig.ask(routed()) == OK
        await rig.settled()
    assert rig.counted() == {"failed": FAILURES, "broken": 50 - FAILURES}
    assert len(upstreams.calls) == FAILURES


async def test_a_mistake_of_ours_is_logged_and_not_repeated_for_ever(
    routed: MakeCall, caplog: pytest.LogCaptureFixture
) -> None:
    async def upstreams(call: Call) -> Reply:
        if call.route:
            return OK
        raise ZeroDivisionError

    rig = Rig(upstreams, {"model": "shadow"})
    for _ in range(10):
        assert await rig.ask(routed()) == OK
        await rig.settled()
    assert rig.counted() == {"failed": FAILURES, "broken": 10 - FAILURES}
    assert caplog.text.count("failed inside the gateway") == FAILURES


async def test_a_shadow_that_hangs_is_hardly_asked(make_call: MakeCall) -> None:
    upstream = FakeUpstream(script=lambda call: Slow() if not call.route else Answer())
    rig = Rig(upstream.infer, {"model": "echo", "timeout_seconds": 0.001})
    for _ in range(20):
        call = replace(make_call(seconds=1000), route="public", variant="old")
        assert (await rig.ask(call)).status == 200
        await rig.settled()
    assert rig.counted("echo") == {"timed_out": FAILURES, "broken": 20 - FAILURES}


async def test_a_copy_whose_request_had_no_time_left_says_nothing_of_the_shadow(make_call: MakeCall) -> None:
    upstream = FakeUpstream(script=lambda call: Slow() if not call.route else Answer())
    rig = Rig(upstream.infer, {"model": "echo"})
    for _ in range(2 * FAILURES):
        await rig.ask(replace(make_call(seconds=0.005), route="public", variant="old"))
        await rig.settled()
    assert rig.counted("echo") == {"timed_out": 2 * FAILURES}


async def test_no_room_at_the_shadow_s_connections_is_no_failure_of_it(routed: MakeCall) -> None:
    rig = Rig(Upstreams(*[Overloaded("too many")] * 10), {"model": "shadow"})
    for _ in range(10):
        await rig.ask(routed())
        await rig.settled()
    assert rig.counted() == {"full": 10}


async def test_what_comes_above_the_limits_is_dropped(routed: MakeCall) -> None:
    upstreams = Upstreams()
    upstreams.gate.clear()
    rig = Rig(upstreams, {"model": "shadow", "most_in_flight": 3})
    for _ in range(10):
        assert await rig.ask(routed()) == OK
    upstreams.gate.set()
    await rig.settled()
    assert rig.counted() == {"ok": 3, "full": 7}
    await rig.ask(routed())
    await rig.settled()
    assert rig.counted() == {"ok": 4, "full": 7}


async def test_the_bytes_of_request_and_kept_answer_are_bounded(routed: MakeCall) -> None:
    upstreams = Upstreams(original=Reply(200, body=bytes(2**19)))
    upstreams.gate.clear()
    rig = Rig(upstreams, {"model": "one", "most_mib": 1}, {"model": "two", "most_mib": 1, "compare": {}})
    for _ in range(2):
        await rig.ask(routed(body=bytes(2**19)))
    upstreams.gate.set()
    await rig.settled()
    assert (rig.counted("one"), rig.counted("two")) == ({"ok": 2}, {"ok": 1, "full": 1})


async def test_nothing_is_copied_while_clients_have_much_under_way(routed: MakeCall) -> None:
    gate, waiting = asyncio.Event(), 0

    async def upstreams(call: Call) -> Reply:
        nonlocal waiting
        if call.body == b"wait":
            waiting += 1
            await gate.wait()
        return OK

    rig = Rig(upstreams, {"model": "shadow", "drop_above": 3})
    under_way = [asyncio.create_task(rig.ask(routed(body=b"wait"))) for _ in range(4)]
    while waiting < 4:
        await asyncio.sleep(0)
    await rig.ask(routed())
    assert rig.counted() == {"busy": 1}
    gate.set()
    await asyncio.gather(*under_way)
    await rig.settled()
    assert rig.counted() == {"busy": 1, "ok": 4}
    assert rig.state.clients == 0


async def test_a_client_that_goes_away_is_not_counted_any_more(routed: MakeCall) -> None:
    upstream = FakeUpstream()
    upstream.gate.clear()
    rig = Rig(upstream.infer, {"model": "shadow"})
    task = asyncio.create_task(rig.ask(routed()))
    while not upstream.calls:
        await asyncio.sleep(0)
    assert rig.state.clients == 1
    task.cancel()
    await asyncio.wait([task])
    assert (rig.state.clients, rig.counted()) == (0, {})


async def test_both_answers_go_through_the_side_door(routed: MakeCall) -> None:
    ours = ((b"content-encoding", b"gzip"), (b"inference-header-content-length", b"7"))
    upstreams = Upstreams(Reply(200, body=bytearray(b"its answer")), original=Reply(200, ours, b"our answer"))
    section = TrafficSection.model_validate(
        {
            "tenant_header": "X-Tenant",
            "routes": [
                {
                    "name": "public",
                    "model": "name",
                    "targets": [{"model": "echo", "version": 1, "name": "old"}],
                    "mirrors": [{"name": "next", "model": "shadow", "version": 2, "compare": {}}],
                }
            ],
        }
    )
    snapshot = Snapshot(1, {"public": Override(section.routes[0].digest, epoch="e1")})
    rig = Rig(upstreams)
    rig.follow(section, snapshot, upstreams, 0.0)
    metadata = ((b"x-tenant", b"them"), (b"inference-header-content-length", b"3"))
    call = routed(body=bytearray(b"{} tensor"), metadata=metadata, version="1")
    await rig.ask(call)
    assert rig.tap.offered == []
    await rig.settled()
    (seen,) = rig.tap.offered
    assert (seen.purpose, seen.route, seen.mirror, seen.epoch) == ("compare", "public", "next", "e1")
    assert (seen.protocol, seen.model, seen.version, seen.request_id) == ("http", "name", "1", "a-request")
    assert (seen.tenant, seen.request, seen.header_length) == ("them", b"{} tensor", 3)
    assert seen.arrived > 1.7e18
    first, second = seen.answers
    assert (first.target, first.model, first.version, first.status) == ("old", "echo", "1", 200)
    assert (first.body, first.header_length, first.encoding) == (b"our answer", 7, "gzip")
    assert (second.target, second.model, second.version, second.status) == ("next", "shadow", "2", 200)
    assert (second.body, second.header_length, second.encoding) == (b"its answer", None, "")
    assert min(first.seconds, second.seconds) >= 0
    assert seen.request is call.body  # not a copy


async def test_an_answer_with_an_error_is_compared_and_none_is_not(make_call: MakeCall) -> None:
    faults: list[Fault] = [Answer(), Fail(5, "no such model"), Answer(), Slow(), Answer(), Reset(), Answer(), Refuse()]
    rig = Rig(FakeUpstream(script=faults).infer, {"model": "echo", "compare": {}, "timeout_seconds": 0.001})
    for _ in range(4):
        call = make_call(protocol=Protocol.GRPC, body=message("echo"))
        await rig.ask(replace(call, route="public", variant="old"))
        await rig.settled()
    (seen,) = rig.tap.offered
    assert (seen.protocol, seen.answers[1].status, seen.answers[1].message) == ("grpc", 5, "no such model")
    assert rig.counted("echo") == {"failed": 3, "timed_out": 1}


async def test_a_tap_without_room_changes_nothing(routed: MakeCall) -> None:
    rig = Rig(Upstreams(), {"model": "shadow", "compare": {}})
    rig.tap.refuses = True
    assert await rig.ask(routed()) == OK
    await rig.settled()
    assert rig.counted() == {"ok": 1}


async def test_the_canary_s_own_shadow(routed: MakeCall) -> None:
    upstreams = Upstreams()
    targets = [{"model": "echo", "name": "old"}, {"model": "new", "upstreams": "fresh"}]
    section = TrafficSection.model_validate(
        {"routes": [{"model": "public", "targets": targets, "canary": {"candidate": "new"}}]}
    )
    snapshot = Snapshot(1, {"public": Override(section.routes[0].digest, epoch="e", shadow_percent=25.0)})
    rig = Rig(upstreams)
    rig.follow(section, snapshot, upstreams, 0.2)
    await rig.ask(routed())
    await rig.ask(replace(routed(), model="new", variant="new"))
    await rig.settled()
    (copy,) = upstreams.calls
    assert (copy.model, copy.target) == ("new", "fresh")
    assert rig.counted("old~new") == {"ok": 1}
    assert rig.measures.report()["routes"]["public"]["window"]["mirrors"] == {"old~new": {"ok": 1, "failed": 0}}
    assert [(seen.mirror, seen.epoch) for seen in rig.tap.offered] == [("old~new", "e")]


async def test_the_end_gives_up_copies_that_are_under_way(routed: MakeCall) -> None:
    upstreams = Upstreams()
    upstreams.gate.clear()
    rig = Rig(upstreams, {"model": "shadow", "compare": {}})
    for _ in range(3):
        await rig.ask(routed())
    await asyncio.sleep(0)
    await rig.state.aclose()
    assert (len(upstreams.calls), rig.counted(), rig.tap.offered) == (3, {}, [])
    assert await rig.ask(routed()) == OK
    await rig.settled()
    assert len(upstreams.calls) == 3

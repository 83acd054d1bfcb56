import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.core.call import Call, ClientStream, Operation, Protocol, Reply
from gateway.core.deadline import Deadline
from gateway.core.errors import Forbidden, UpstreamBroken
from gateway.core.policy import Chain, Next, NextStream, fold
from gateway.frontends.grpc_lanes import PATH, Lanes
from gateway.frontends.intake import Intake
from gateway.frontends.serving import Current
from gateway.wire import oip_grpc, oip_stream
from tests.gateway.frontends.grpc_doubles import (
    EchoTriton,
    ScriptedClient,
    in_shared_memory,
    opened,
    request,
    response,
    serving_with,
    until,
    within,
)

GRPC_ERRORS = ((b"triton_grpc_error", b"true"),)

MakeLanes = Callable[..., Lanes]


@pytest.fixture
def intake() -> Intake:
    return Intake(10_000)


@pytest.fixture
def make_lanes(intake: Intake) -> MakeLanes:
    def make(
        chain: NextStream,
        client: ScriptedClient,
        metadata: tuple[tuple[bytes, bytes], ...] = (),
        **options: Any,
    ) -> Lanes:
        call = Call(
            protocol=Protocol.GRPC,
            operation=Operation.STREAM_INFER,
            line=PATH.encode(),
            model="",
            version="",
            request_id="the-stream",
            metadata=metadata,
            body=b"",
            head_len=0,
            deadline=Deadline.after(60),
        )
        current = Current(serving_with(Chain(EchoTriton().infer, chain)))
        return Lanes(current, client, call, intake, **options)

    return make


@asynccontextmanager
async def serving(lanes: Lanes) -> AsyncIterator[asyncio.Task[Reply]]:
    """The stream, served beside the test."""
    task = asyncio.create_task(lanes.run())
    yield task
    if not task.done():
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Refuse:
    """A policy against one model."""

    def __init__(self, model: str) -> None:
        self.model = model

    async def __call__(self, call: Call, proceed: Next) -> Reply:
        self._check(call)
        return await proceed(call)

    async def stream(self, call: Call, client: ClientStream, proceed: NextStream) -> Reply:
        self._check(call)
        return await proceed(call, client)

    def _check(self, call: Call) -> None:
        if call.model == self.model:
            raise Forbidden(f"{call.model} is not for you")


async def test_two_models_on_one_stream_are_two_calls(make_lanes: MakeLanes) -> None:
    triton, client = EchoTriton(), ScriptedClient(request("a", "1"), request("b", "2"), request("a", "3"))
    client.half_close()

    reply = await within(make_lanes(triton.stream, client).run())

    assert reply.status == 0
    assert client.started == [()]
    assert sorted(client.answered()) == [("a", "1"), ("a", "3"), ("b", "2")]
    assert [call.model for call in triton.calls] == ["a", "b"]
    assert {(call.operation, call.request_id, call.line) for call in triton.calls} == {
        (Operation.STREAM_INFER, "the-stream", PATH.encode())
    }


async def test_nothing_said_is_nothing_answered(make_lanes: MakeLanes) -> None:
    triton, client = EchoTriton(), ScriptedClient()
    client.half_close()
    assert await within(make_lanes(triton.stream, client).run()) == Reply(0)
    assert (client.started, client.heard, triton.calls) == ([()], [], [])


async def test_a_refused_model_is_refused_behind_an_allowed_one(make_lanes: MakeLanes) -> None:
    triton, client = EchoTriton(), ScriptedClient(request("a", "1"), request("b", "2"))
    async with serving(make_lanes(fold([Refuse("b")], triton).stream, client)) as stream:
        await client.hears(2)
        client.say(request("b", "3"))
        client.say(request("a", "4"))
        await client.hears(4)
        client.half_close()
        assert (await within(stream)).status == 0

    assert sorted(client.errors()) == [("2", "b is not for you"), ("3", "b is not for you")]
    assert client.answered() == [("a", "1"), ("a", "4")]
    assert [call.model for call in triton.calls] == ["a"]


async def test_a_client_that_asks_for_grpc_errors_gets_the_status(make_lanes: MakeLanes) -> None:
    triton, client = EchoTriton(), ScriptedClient(request("a", "1"))
    async with serving(make_lanes(fold([Refuse("b")], triton).stream, client, GRPC_ERRORS)) as stream:
        await client.hears(1)
        client.say(request("b", "2"))
        reply = await within(stream)

    assert (reply.status, reply.message) == (7, "b is not for you")
    assert client.errors() == []
    assert triton.open == 0


async def test_shared_memory_is_refused_in_stream(make_lanes: MakeLanes, intake: Intake) -> None:
    triton = EchoTriton()
    client = ScriptedClient(in_shared_memory("a", "1"), request("a", "2"))
    client.half_close()
    assert (await within(make_lanes(triton.stream, client).run())).status == 0
    [(request_id, words)] = client.errors()
    assert request_id == "1"
    assert "shared memory" in words
    assert client.answered() == [("a", "2")]
    assert intake.bytes_held == 0


async def test_a_reserved_parameter_is_refused_in_stream(make_lanes: MakeLanes) -> None:
    triton = EchoTriton()
    client = ScriptedClient(request("a", "1", triton_mine=1), request("a", "2"))
    client.half_close()
    assert (await within(make_lanes(triton.stream, client).run())).status == 0
    [(request_id, words)] = client.errors()
    assert request_id == "1"
    assert "triton_mine" in words
    assert client.answered() == [("a", "2")]


@pytest.mark.parametrize(
    ("metadata", "status", "errors"), [((), 0, [("", "Unable to parse request")]), (GRPC_ERRORS, 13, [])]
)
async def test_garbage_is_told_and_the_stream_goes_on(
    make_lanes: MakeLanes, metadata: tuple[tuple[bytes, bytes], ...], status: int, errors: list[tuple[str, str]]
) -> None:
    triton, client = EchoTriton(), ScriptedClient(b"\xff\xff\xff")
    client.half_close()
    assert (await within(make_lanes(triton.stream, client, metadata).run())).status == status
    assert client.errors() == errors
    assert triton.calls == []


async def test_each_sequence_has_a_lane_until_it_ends(make_lanes: MakeLanes) -> None:
    triton, client = EchoTriton(), ScriptedClient()
    async with serving(make_lanes(triton.stream, client)) as stream:
        client.say(request("a", "1", sequence_id=7, sequence_start=True))
        client.say(request("a", "2", sequence_id=8, sequence_start=True))
        client.say(request("a", "3", sequence_id=7))
        await client.hears(3)
        assert triton.open == 2
        client.say(request("a", "4", sequence_id=7, sequence_end=True))
        await client.hears(4)
        await until(lambda: triton.open == 1)
        client.say(request("a", "5", sequence_id=7, sequence_start=True))
        await client.hears(5)
        client.half_close()
        await within(stream)

    sequences = [call.sequence for call in triton.calls]
    assert [(s.id, s.start) for s in sequences if s] == [("7", True), ("8", True), ("7", True)]
    assert client.errors() == []


async def test_an_open_stream_goes_by_another_configuration_from_the_next_request_on(intake: Intake) -> None:
    before, after, client = EchoTriton(), EchoTriton(), ScriptedClient()
    current = Current(serving_with(Chain(before.infer, before.stream)))
    async with serving(Lanes(current, client, opened(), intake)) as stream:
        client.say(request("a", "1"))
        client.say(request("a", "2", sequence_id=7, sequence_start=True))
        await client.hears(2)
        current.serving = serving_with(Chain(after.infer, fold([Refuse("b")], after).stream))
        for message in (request("a", "3"), request("a", "4", sequence_id=7), request("b", "5")):
            client.say(message)
        await client.hears(5)
        await until(lambda: before.open == 1)  # the sequence's lane
        client.half_close()
        assert (await within(stream)).status == 0
    assert [call.sequence is None for call in before.calls] == [True, False]
    assert [(call.model, call.sequence) for call in after.calls] == [("a", None)]
    assert client.errors() == [("5", "b is not for you")]
    assert {number for _, number in client.answered()} == {"1", "2", "3", "4"}


async def test_requests_that_wait_for_an_answer_keep_the_order_of_their_lane(intake: Intake) -> None:
    before, after, client = EchoTriton(), EchoTriton(), ScriptedClient(request("a", "1"))
    before.gate.clear()
    current = Current(serving_with(Chain(before.infer, before.stream)))
    async with serving(Lanes(current, client, opened(), intake)) as stream:
        await until(lambda: client.taken == 1 and before.open == 1)
        current.serving = serving_with(Chain(after.infer, after.stream))
        client.say(request("a", "2"))
        await until(lambda: client.taken == 2)
        before.gate.set()
        await client.hears(2)
        client.say(request("a", "3"))
        client.half_close()
        assert (await within(stream)).status == 0
    assert [number for _, number in client.answered()] == ["1", "2", "3"]
    assert (len(before.calls), len(after.calls)) == (1, 1)


async def test_a_lane_that_was_followed_finishes_what_it_has_begun(intake: Intake) -> None:
    finish, after, client = asyncio.Event(), EchoTriton(), ScriptedClient(request("a", "1"))

    async def bit_by_bit(call: Call, client: ClientStream) -> Reply:
        asked = await client.receive()
        assert asked is not None
        await client.send(response(asked, final=False))
        assert await client.receive() is None
        await finish.wait()
        await client.send(response(asked, final=True))
        return Reply(0)

    current = Current(serving_with(Chain(after.infer, bit_by_bit)))
    async with serving(Lanes(current, client, opened(), intake)) as stream:
        await client.hears(1)
        current.serving = serving_with(Chain(after.infer, after.stream))
        client.say(request("a", "2"))
        await client.hears(2)
        finish.set()
        client.half_close()
        assert (await within(stream)).status == 0
    assert [number for _, number in client.answered()] == ["1", "2", "1"]


async def test_a_sequence_id_that_comes_again_waits_for_the_one_before(make_lanes: MakeLanes) -> None:
    triton, client = EchoTriton(), ScriptedClient()
    triton.gate.clear()
    both = {"sequence_id": 7, "sequence_start": True, "sequence_end": True}
    client.say(request("a", "1", **both))
    client.say(request("a", "2", **both))
    client.half_close()
    async with serving(make_lanes(triton.stream, client)) as stream:
        await until(lambda: client.taken == 2 and triton.open == 1)
        assert len(triton.calls) == 1
        triton.gate.set()
        await within(stream)
    assert client.answered() == [("a", "1"), ("a", "2")]
    assert len(triton.calls) == 2


async def test_too_many_lanes_are_refused_and_said_so(make_lanes: MakeLanes) -> None:
    triton, client = EchoTriton(), ScriptedClient(*[request(f"m{n}", str(n)) for n in range(4)])
    client.half_close()
    assert (await within(make_lanes(triton.stream, client, most=3).run())).status == 0
    [(request_id, words)] = client.errors()
    assert request_id == "3"
    assert "3 models and sequences open" in words
    assert len(client.answered()) == 3


async def test_short_sequences_wait_for_a_lane_instead(make_lanes: MakeLanes) -> None:
    triton, client = EchoTriton(), ScriptedClient()
    for n in range(1, 41):
        client.say(request("a", str(n), sequence_id=n, sequence_start=True, sequence_end=True))
    client.half_close()
    await within(make_lanes(triton.stream, client, most=3).run())
    assert client.errors() == []
    assert sorted(client.answered()) == sorted(("a", str(n)) for n in range(1, 41))


async def test_a_lane_that_dies_names_every_request_that_is_lost(make_lanes: MakeLanes, intake: Intake) -> None:
    die = asyncio.Event()

    async def dying(call: Call, client: ClientStream) -> Reply:
        message = await client.receive()
        assert message is not None
        await client.send(response(message))
        await client.receive()
        await die.wait()
        raise UpstreamBroken("Triton went away")

    client = ScriptedClient(*[request("a", str(n)) for n in range(12)])
    async with serving(make_lanes(dying, client)) as stream:
        await until(lambda: client.taken == 7)  # one answered, one taken, four queued and one that waits for room
        die.set()
        await client.hears(7)
        assert client.errors() == [(str(n), "Triton went away") for n in range(1, 7)]
        assert not stream.done()
        await client.hears(12)  # what came after it opened a new lane
    assert intake.bytes_held == 0


@pytest.mark.parametrize("metadata", [(), GRPC_ERRORS])
async def test_a_lane_that_dies_with_nothing_owed_is_replaced_in_silence(
    make_lanes: MakeLanes, metadata: tuple[tuple[bytes, bytes], ...]
) -> None:
    async def once(call: Call, client: ClientStream) -> Reply:
        message = await client.receive()
        if message is None:
            return Reply(0)
        await client.send(response(message))
        raise UpstreamBroken("Triton went away")

    client = ScriptedClient()
    async with serving(make_lanes(once, client, metadata)) as stream:
        for n in range(3):
            client.say(request("a", str(n)))
            await client.hears(n + 1)
        client.half_close()
        assert await within(stream) == Reply(0)
    assert client.errors() == []


async def test_an_answer_that_was_to_go_on_is_lost_too(make_lanes: MakeLanes) -> None:
    async def half(call: Call, client: ClientStream) -> Reply:
        first, second = await client.receive(), await client.receive()
        assert first is not None
        assert second is not None
        await client.send(response(first, final=False))
        await client.send(response(second, final=False))
        await client.send(response(first, final=True))
        raise UpstreamBroken("Triton went away")

    client = ScriptedClient(request("a", "1"), request("a", "2"))
    async with serving(make_lanes(half, client)):
        await client.hears(4)
    assert client.errors() == [("2", "Triton went away")]


async def test_a_triton_that_ends_early_without_an_error_is_one(make_lanes: MakeLanes) -> None:
    async def early(call: Call, client: ClientStream) -> Reply:
        await client.receive()
        return Reply(0)

    client = ScriptedClient(request("a", "1"))
    async with serving(make_lanes(early, client)):
        await client.hears(1)
    [(request_id, words)] = client.errors()
    assert request_id == "1"
    assert "before it had answered" in words


async def test_a_request_that_is_answered_with_nothing_is_no_loss(make_lanes: MakeLanes) -> None:
    async def silent(call: Call, client: ClientStream) -> Reply:
        while await client.receive() is not None:
            pass
        assert await client.receive() is None
        return Reply(0)

    client = ScriptedClient(request("a", "1"))
    client.half_close()
    assert await within(make_lanes(silent, client).run()) == Reply(0)
    assert client.heard == []


async def test_tritons_own_errors_come_through_without_its_internals(make_lanes: MakeLanes) -> None:
    async def failing(call: Call, client: ClientStream) -> Reply:
        while (message := await client.receive()) is not None:
            asked = oip_stream.request_id(message)
            words = "cannot open /opt/models/a/1/model.onnx" if asked == "1" else "bad input"
            await client.send(oip_grpc.stream_error(words, asked))
        return Reply(0)

    client = ScriptedClient(request("a", "1"), request("a", "2"))
    client.half_close()
    assert await within(make_lanes(failing, client).run()) == Reply(0)
    [(first, words), second] = client.errors()
    assert first == "1"
    assert "/opt" not in words
    assert "cannot open" in words
    assert second == ("2", "bad input")


async def test_a_bug_is_internal_and_tells_nothing(make_lanes: MakeLanes, caplog: pytest.LogCaptureFixture) -> None:
    async def broken(call: Call, client: ClientStream) -> Reply:
        raise ZeroDivisionError("secret")

    client = ScriptedClient(request("a", "1"))
    client.half_close()
    assert (await within(make_lanes(broken, client).run())).status == 0
    [(request_id, words)] = client.errors()
    assert request_id == "1"
    assert "internal error" in words
    assert "secret" not in words
    assert "ZeroDivisionError" in caplog.text


async def test_a_client_that_is_gone_cancels_every_lane(make_lanes: MakeLanes, intake: Intake) -> None:
    triton, client = EchoTriton(), ScriptedClient(request("a", "1"), request("b", "2"))
    triton.gate.clear()
    async with serving(make_lanes(triton.stream, client)) as stream:
        await until(lambda: triton.open == 2)
        assert intake.bytes_held > 0
        stream.cancel()
        with pytest.raises(asyncio.CancelledError):
            await within(stream)
    assert (triton.open, intake.bytes_held) == (0, 0)


async def test_a_client_that_does_not_read_any_more_ends_the_stream(make_lanes: MakeLanes) -> None:
    triton, client = EchoTriton(), ScriptedClient(request("a", "1"), request("b", "2"))
    client.leave()
    async with serving(make_lanes(triton.stream, client)) as stream:
        with pytest.raises(Exception, match="nobody reads"):
            await within(stream)
    assert triton.open == 0


async def test_a_slow_triton_is_felt_by_the_client(make_lanes: MakeLanes, intake: Intake) -> None:
    triton, client = EchoTriton(), ScriptedClient(*[request("a", str(n)) for n in range(50)])
    triton.gate.clear()
    client.half_close()
    async with serving(make_lanes(triton.stream, client)) as stream:
        await until(lambda: triton.open == 1)
        for _ in range(100):
            await asyncio.sleep(0)
        assert client.taken == 5  # four in the lane, and one in hand
        triton.gate.set()
        await within(stream)
    assert client.answered() == [("a", str(n)) for n in range(50)]
    assert intake.bytes_held == 0


async def test_a_client_that_reads_slowly_stops_the_lanes(make_lanes: MakeLanes) -> None:
    triton, client = EchoTriton(), ScriptedClient(*[request("nope", str(n)) for n in range(200)])
    client.reads.clear()
    client.half_close()
    async with serving(make_lanes(fold([Refuse("nope")], triton).stream, client, most=8)) as stream:
        await until(lambda: client.taken > 1)
        for _ in range(200):
            await asyncio.sleep(0)
        assert client.taken < 60  # refusals are not free for who does not read them
        client.reads.set()
        await within(stream)
    assert sorted(client.errors(), key=lambda told: int(told[0])) == [
        (str(n), "nope is not for you") for n in range(200)
    ]


async def test_a_message_there_is_no_room_for_is_told(make_lanes: MakeLanes, intake: Intake) -> None:
    triton, client = EchoTriton(), ScriptedClient(request("a", "1"))
    intake.take(intake.max_bytes)
    async with serving(make_lanes(triton.stream, client)) as stream:
        [told] = await client.hears(1)
        assert told.infer_response.id == "1"
        assert "no room" in told.error_message
        intake.give(intake.max_bytes)
        client.say(request("a", "2"))
        await client.hears(2)
        client.half_close()
        await within(stream)
    assert client.answered() == [("a", "2")]
    assert intake.bytes_held == 0


async def test_ids_of_any_length_are_remembered_in_part(make_lanes: MakeLanes) -> None:
    triton, client = EchoTriton(), ScriptedClient(request("a", "x" * 1000))
    async with serving(make_lanes(triton.stream, client)) as stream:
        await client.hears(1)
        client.half_close()
        await within(stream)
    assert client.answered() == [("a", "x" * 1000)]
    assert client.errors() == []

import asyncio
import logging

import pytest

from gateway.core.call import Call, Operation, Reply
from gateway.core.errors import Overloaded, UpstreamBroken
from gateway.upstreams.checks import Rounds, check
from gateway.upstreams.fake import FakeUpstream
from gateway.upstreams.fake_faults import Fail, Slow
from gateway.upstreams.health import Outcome


async def test_an_answer_says_which_models_are_ready() -> None:
    upstream = FakeUpstream("m")
    assert await check(upstream, 1) == (Outcome.ANSWERED, frozenset({("m", "1"), ("m", "")}))
    (call,) = upstream.calls
    assert (call.operation, call.line, call.body) == (
        Operation.REPOSITORY_INDEX,
        b"POST /v2/repository/index",
        b'{"ready":true}',
    )


async def test_nobody_there_is_unreachable() -> None:
    upstream = FakeUpstream()
    upstream.down = True
    assert await check(upstream, 1) == (Outcome.UNREACHABLE, None)


async def test_no_answer_in_time_is_silence() -> None:
    assert await check(FakeUpstream(script=lambda _: Slow()), 0.01) == (Outcome.SILENT, None)


@pytest.mark.parametrize("error", [UpstreamBroken(), Overloaded()])
async def test_whoever_cannot_be_heard_is_silent(error: Exception) -> None:
    class Failing(FakeUpstream):
        async def infer(self, call: Call) -> Reply:
            raise error

    assert await check(Failing(), 1) == (Outcome.SILENT, None)


@pytest.mark.parametrize(("status", "outcome"), [(503, Outcome.UNWELL), (500, Outcome.UNWELL), (400, Outcome.ANSWERED)])
async def test_an_error_says_nothing_of_models(status: int, outcome: Outcome) -> None:
    assert await check(FakeUpstream(script=lambda _: Fail(status)), 1) == (outcome, None)


async def test_rounds_go_on_until_they_are_ended_and_survive_a_bug(caplog: pytest.LogCaptureFixture) -> None:
    looks = asyncio.Queue[int]()

    async def look() -> None:
        looks.put_nowait(1)
        raise ValueError("a bug")

    rounds = Rounds(0.001)
    rounds.begin("a", look)
    rounds.begin("b", look)
    with caplog.at_level(logging.ERROR):
        for _ in range(6):
            await asyncio.wait_for(looks.get(), 5)
    assert "a bug" in caplog.text
    await rounds.end("a")
    await rounds.end("a")
    await rounds.aclose()
    while not looks.empty():
        looks.get_nowait()
    await asyncio.sleep(0)
    assert looks.empty()

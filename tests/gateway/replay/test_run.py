from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.core.call import Call, Operation, Reply
from gateway.core.errors import SetupError
from gateway.replay.results import Results
from gateway.replay.run import Plan, Side, replay
from gateway.replay.target import target_of
from gateway.tap.datatypes import DecodedRequest
from gateway.tap.recording.read import RecordedLog
from gateway.tap.report.model import Report
from gateway.traffic.mirror_sections import CompareSection
from gateway.upstreams.fake import FakeUpstream
from gateway.upstreams.fake_triton import FakeTriton
from tests.gateway.replay.model import Doubles, asked, log_of, recorded

SECTION = CompareSection()


@asynccontextmanager
async def side(upstream: FakeUpstream, protocol: str = "http", **more: Any) -> AsyncIterator[Side]:
    async with FakeTriton(upstream) as triton:
        target = target_of(f"{protocol}://{triton.http if protocol == 'http' else triton.grpc}", 10.0, 64)
        yield Side(target, **more)
        await target.aclose()


async def replayed(log: str, to: Side, against: Side | None = None, **more: Any) -> Results:
    results = Results(Report("r", "m", SECTION.model_dump()))
    await replay(RecordedLog(log), Plan(to, against, SECTION, **more), results)
    return results


def firsts(upstream: FakeUpstream) -> list[float]:
    """The first element of each inference's input, as they came."""
    calls = [call for call in upstream.calls if call.operation is Operation.INFER]
    return [float(asked(call).tensors[0].data.reshape(-1)[0]) for call in calls]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
async def test_all_is_sent_in_order_and_held_against_what_was_recorded(tmp_path: Path, protocol: str) -> None:
    log = await log_of(tmp_path, *(recorded(float(number), protocol="http") for number in range(10)))
    model = Doubles(until=8, fails=(3.0,))
    async with side(model, protocol) as to:
        results = await replayed(log, to, concurrency=1)
    assert firsts(model) == list(range(10))
    counts = results.report.counts
    assert (results.sent, counts.agreed, counts.differed, results.failed) == (10, 7, 3, 1)
    assert results.report.candidate.target == to.target.url


async def test_a_second_server_s_answers_instead_of_the_recorded_ones(tmp_path: Path) -> None:
    requests = [recorded(float(number), outputs=None, redacted=("in/x",)) for number in range(6)]
    log = await log_of(tmp_path, *requests)
    async with side(Doubles(factor=5)) as to, side(Doubles(factor=5, until=4), "grpc", model="other") as against:
        results = await replayed(log, to, against)
    counts = results.report.counts
    assert (counts.agreed, counts.differed, results.not_compared) == (4, 2, 0)
    assert results.report.baseline.model == "other"
    assert set(results.latency["baseline"])


async def test_models_and_versions_as_they_were_recorded_or_as_they_are_told(tmp_path: Path) -> None:
    log = await log_of(tmp_path, recorded(1.0, version="1"), recorded(2.0, model="other"))
    model = Doubles()

    async def named(**more: str) -> list[tuple[str, str]]:
        model.calls.clear()
        async with side(model, **more) as to:
            await replayed(log, to)
        return sorted((call.model, call.version) for call in model.calls if call.operation is Operation.INFER)

    assert await named() == [("echo", "1"), ("other", "")]
    assert await named(version="1") == [("echo", "1"), ("other", "1")]
    assert await named(model="other") == [("other", ""), ("other", "")]
    assert await named(model="other", version="1") == [("other", "1"), ("other", "1")]


async def test_a_limit_ends_it(tmp_path: Path) -> None:
    log = await log_of(tmp_path, *(recorded(float(number)) for number in range(10)))
    model, advanced = Doubles(), []
    results = Results(Report("r", "m", {}))
    async with side(model) as to:
        await replay(RecordedLog(log), Plan(to, None, SECTION, limit=3), results, lambda: advanced.append(1))
    assert (results.sent, len(advanced)) == (3, 3)
    assert sorted(firsts(model)) == [0, 1, 2]


async def test_no_more_at_a_time_than_may_be(tmp_path: Path) -> None:
    class Counts(Doubles):
        now = most = 0

        async def infer(self, call: Call) -> Reply:
            self.now += 1
            self.most = max(self.most, self.now)
            await asyncio.sleep(0.002)
            self.now -= 1
            return await super().infer(call)

    log = await log_of(tmp_path, *(recorded(float(number)) for number in range(20)))
    for protocol in ("http", "grpc"):
        model = Counts()
        async with side(model, protocol) as to:
            await replayed(log, to, concurrency=3)
        assert 1 < model.most <= 3


async def test_a_rate_is_kept(tmp_path: Path) -> None:
    log = await log_of(tmp_path, *(recorded(float(number)) for number in range(6)))
    clock = asyncio.get_running_loop().time
    async with side(Doubles()) as to:
        began = clock()
        await replayed(log, to, rate=100.0)
    assert clock() - began >= 0.05  # the sixth is sent then, and not before


async def test_what_cannot_be_sent_is_a_failure(tmp_path: Path) -> None:
    about = recorded(1.0).request
    wrong = recorded(1.0, request=DecodedRequest(about.tensors, {"list": [1]}, ()))
    log = await log_of(tmp_path, wrong, recorded(2.0))
    async with side(Doubles(), "grpc") as to:
        results = await replayed(log, to)
    [(said, times)] = results.failures.items()
    assert said.startswith("it cannot be sent: ")
    assert (times, results.sent) == (1, 2)


async def test_a_server_or_a_model_that_is_not_there_ends_it(tmp_path: Path) -> None:
    log = await log_of(tmp_path, recorded(1.0), recorded(2.0, model="nope"))
    async with side(Doubles()) as to:
        with pytest.raises(SetupError, match="does not serve the model nope"):
            await replayed(log, to)
        with pytest.raises(SetupError, match="does not serve the model mine"):
            await replayed(log, to, Side(to.target, "mine"))
    with pytest.raises(SetupError, match="cannot be reached"):
        await replayed(log, Side(target_of("http://127.0.0.1:9", 1.0, 1)))

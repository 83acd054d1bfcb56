import asyncio
import logging
from collections.abc import AsyncIterator, Callable

import pytest

from gateway.config import BalanceSection
from gateway.core.call import Protocol
from gateway.core.errors import UpstreamUnavailable
from gateway.upstreams.endpoint import Endpoint
from gateway.upstreams.fake import FakeUpstream
from gateway.upstreams.fake_faults import Slow
from gateway.upstreams.roster import Roster

QUICK = BalanceSection(check_seconds=0.01, check_timeout_seconds=0.05, eject_after_failures=2, eject_seconds=0.2)
SELDOM = BalanceSection(check_seconds=3600, check_timeout_seconds=0.05, eject_after_failures=2, eject_seconds=30)

Make = Callable[..., Roster]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    rosters = []

    def one(*upstreams: FakeUpstream, balance: BalanceSection = SELDOM) -> Roster:
        endpoints = [Endpoint(name, one, one) for name, one in zip("abc", upstreams, strict=False)]
        rosters.append(Roster(endpoints, balance, asyncio.get_running_loop().time))
        return rosters[-1]

    yield one
    for roster in rosters:
        await roster.aclose()


def who(roster: Roster, model: str, version: str = "") -> str:
    return "".join(member.name for member in roster.default.candidates(model, version))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def test_a_model_is_where_it_is_ready(make: Make) -> None:
    roster = make(FakeUpstream("m"), FakeUpstream("x"), FakeUpstream("m"))
    assert who(roster, "m") == "abc"  # nothing is known yet
    await roster.start()
    assert [who(roster, "m"), who(roster, "m", "1"), who(roster, "x")] == ["ac", "ac", "b"]
    assert who(roster, "m", "2") == "abc"  # nobody has it: anybody can say so
    assert who(roster, "") == "abc"


async def test_what_is_loaded_and_unloaded_is_noticed(make: Make) -> None:
    one, other = FakeUpstream("m"), FakeUpstream("x")
    roster = make(one, other, balance=QUICK)
    await roster.start()
    other.ready.add("m")
    await until(lambda: who(roster, "m") == "ab")
    one.ready.clear()
    await until(lambda: who(roster, "m") == "b")


async def test_the_start_waits_no_longer_than_a_check(make: Make) -> None:
    silent, gone = FakeUpstream(script=lambda _: Slow()), FakeUpstream()
    gone.down = True
    roster = make(silent, gone, FakeUpstream("m"))
    async with asyncio.timeout(5):
        await roster.start()
    assert [row["healthy"] for row in roster.status()] == [False, False, True]
    assert [row["models"] for row in roster.status()] == [None, None, 1]
    assert who(roster, "") == "ac"  # less than half are well: panic, but nobody asks the dead


async def test_who_does_not_answer_is_left_out_until_it_does(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    one, other = FakeUpstream("m"), FakeUpstream("m")
    roster = make(one, other, balance=QUICK)
    await roster.start()
    with caplog.at_level(logging.INFO, "gateway.upstreams"):
        one.down = True
        await until(lambda: who(roster, "m") == "b")
        one.down = False
        await until(lambda: who(roster, "m") == "ab")
    assert caplog.messages == ["a cannot be reached", "a answers again"]


async def test_who_answers_calls_but_no_check_is_busy_and_well(make: Make) -> None:
    one = FakeUpstream("m")
    roster = make(one, FakeUpstream("m"))
    await roster.start()
    member = roster.members[0]
    one.gate.clear()
    busy = asyncio.create_task(roster.look(member))
    await until(lambda: len(one.calls) == 2)
    member.replies += 1
    await busy
    assert who(roster, "m") == "ab"
    await roster.look(member)
    assert who(roster, "m") == "b"


async def test_failures_eject_and_time_brings_back(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    roster = make(FakeUpstream("m"), FakeUpstream("m"), balance=QUICK)
    await roster.start()
    with caplog.at_level(logging.INFO, "gateway.upstreams"):
        roster.failed(roster.members[0], Protocol.HTTP)
        assert who(roster, "m") == "ab"
        roster.failed(roster.members[0], Protocol.HTTP)
        assert who(roster, "m") == "b"
        assert 0 < roster.status()[0]["ejected_seconds"] <= 0.2
        await until(lambda: who(roster, "m") == "ab")
    assert caplog.messages == ["a is left out for 0.2 s, after 2 failures in a row", "a is left out no longer"]


async def test_an_answer_after_an_outage_ends_the_ejection(make: Make) -> None:
    one = FakeUpstream("m")
    roster = make(one, FakeUpstream("m"))
    await roster.start()
    for _ in range(2):
        roster.failed(roster.members[0], Protocol.HTTP)
    await roster.look(roster.members[0])
    assert who(roster, "m") == "b"
    one.down = True
    await roster.look(roster.members[0])
    one.down = False
    await roster.look(roster.members[0])
    assert who(roster, "m") == "ab"
    assert roster.status()[0]["failures"] == 0


async def test_panic_is_judged_for_each_model(make: Make) -> None:
    roster = make(FakeUpstream("m"), FakeUpstream("x"), FakeUpstream("x"))
    await roster.start()
    for _ in range(2):
        roster.failed(roster.members[0], Protocol.HTTP)
    assert [who(roster, "m"), who(roster, "x"), who(roster, "")] == ["a", "bc", "bc"]


async def test_without_panic_nobody_may_be_left(make: Make) -> None:
    gone = FakeUpstream()
    gone.down = True
    roster = make(gone, gone, balance=SELDOM.model_copy(update={"panic_percent": 0}))
    await roster.start()
    with pytest.raises(UpstreamUnavailable):
        roster.default.candidates("m", "")


async def test_an_older_check_is_no_news(make: Make) -> None:
    one = FakeUpstream("m")
    roster = make(one, FakeUpstream("m"))
    await roster.start()
    member = roster.members[0]
    answers = [asyncio.Event(), asyncio.Event()]
    plain = one.infer

    async def late(call: object) -> object:
        gate = answers[len(started)]
        started.append(1)
        reply = await plain(call)  # type: ignore[arg-type]
        await gate.wait()
        return reply

    started: list[int] = []
    one.infer = late  # type: ignore[method-assign, assignment]
    old = asyncio.create_task(roster.look(member))
    await until(lambda: len(one.calls) == 2)
    one.ready.add("new")
    young = asyncio.create_task(roster.look(member))
    await until(lambda: len(one.calls) == 3)
    answers[1].set()
    await young
    answers[0].set()
    await old
    assert who(roster, "new") == "a"


async def test_endpoints_are_called_by_name_and_addresses_kept_from_clients(make: Make) -> None:
    one = FakeUpstream()
    roster = Roster([Endpoint("10.0.0.1:8000", one, one), Endpoint("b", one, one)], SELDOM, lambda: 0)
    assert [member.label for member in roster.members] == ["upstream 1", "b"]
    assert [member.name for member in roster.subset("b").members] == ["b"]
    with pytest.raises(UpstreamUnavailable, match=r"meant for \(c\) is not configured"):
        roster.subset("c")
    with pytest.raises(UpstreamUnavailable, match="meant for is not configured"):
        roster.subset("10.0.0.2:8000")
    await roster.aclose()


async def test_those_that_stay_stay_as_they_are_and_those_that_go_finish_first(make: Make) -> None:
    upstreams = [FakeUpstream("m") for _ in range(3)]
    kept, gone, new = (Endpoint(name, one, one) for name, one in zip(["kept", "gone", "new"], upstreams, strict=True))
    roster = Roster([kept, gone], QUICK, asyncio.get_running_loop().time)
    await roster.start()
    first, second = roster.members
    second.in_flight = 1
    await roster.replace([new, kept], QUICK)
    assert [member.name for member in roster.members] == ["new", "kept"]
    assert roster.members[1] is first
    assert roster.default.only is None
    assert {member.name for member in roster.default.candidates("m", "")} == {"new", "kept"}
    roster.failed(second, Protocol.HTTP)
    checks = len(upstreams[1].calls)
    assert not upstreams[1]._closed
    second.in_flight = 0
    second.emptied.set()
    await until(lambda: upstreams[1]._closed)
    assert len(upstreams[1].calls) == checks
    await roster.aclose()
    assert all(one._closed for one in upstreams)


async def test_the_end_does_not_wait_for_those_that_are_leaving(make: Make) -> None:
    upstreams = [FakeUpstream("m") for _ in range(2)]
    kept, gone = (Endpoint(name, one, one) for name, one in zip(["kept", "gone"], upstreams, strict=True))
    roster = Roster([kept, gone], QUICK, asyncio.get_running_loop().time)
    await roster.start()
    roster.members[1].in_flight = 1
    await roster.replace([kept], QUICK)
    assert roster.default.only is roster.members[0]
    async with asyncio.timeout(5):
        await roster.aclose()
    assert all(one._closed for one in upstreams)


async def test_who_comes_into_another_group_stays_as_it_is(make: Make) -> None:
    upstreams = [FakeUpstream("m") for _ in range(2)]
    one, other = (Endpoint(name, each, each) for name, each in zip("ab", upstreams, strict=True))
    roster = Roster([one, other], SELDOM, asyncio.get_running_loop().time)
    await roster.start()
    before = roster.members
    await roster.replace([one, Endpoint("b", upstreams[1], upstreams[1], "canaries")], SELDOM)
    assert roster.members == before
    assert [who(roster, "m"), roster.subset("canaries").only] == ["a", before[1]]
    assert [len(each.calls) for each in upstreams] == [1, 1]  # nothing is asked again
    await roster.replace([one, other], SELDOM)
    assert who(roster, "m") == "ab"
    with pytest.raises(UpstreamUnavailable):
        roster.subset("canaries")
    await roster.aclose()

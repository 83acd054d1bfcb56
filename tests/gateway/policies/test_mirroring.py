import asyncio
from typing import Any

import pytest

from gateway.policies.mirroring import Lane, Mirroring
from gateway.traffic.breaker import FAILURES
from gateway.traffic.mirrors import Mirrors
from gateway.traffic.sections import TrafficSection
from gateway.traffic.snapshot import Snapshot


def mirrors(*given: dict[str, Any]) -> Mirrors:
    section = TrafficSection.model_validate({"routes": [{"model": "m", "mirrors": given}]})
    return Mirrors.compile(section, Snapshot())


def lane(state: Mirroring, **given: Any) -> Lane:
    return state.lanes(mirrors({"model": "n"} | given))["m"]["m"][0]


def test_what_is_under_way_is_bounded_in_number() -> None:
    only = lane(Mirroring(), most_in_flight=2)
    assert [only.refusal(0, 10, 0.0) for _ in range(3)] == [None, None, "full"]
    only.leave(10, known=True)
    assert [only.refusal(0, 10, 0.0) for _ in range(2)] == [None, "full"]


def test_what_is_under_way_is_bounded_in_bytes() -> None:
    only = lane(Mirroring(), most_mib=1)
    assert only.refusal(0, 2**20 + 1, 0.0) == "full"
    assert only.refusal(0, 2**20, 0.0) is None
    assert only.refusal(0, 1, 0.0) == "full"
    only.leave(2**20, known=True)
    assert only.refusal(0, 1, 0.0) is None


def test_clients_go_first() -> None:
    only = lane(Mirroring(), drop_above=3)
    assert (only.refusal(3, 1, 0.0), only.refusal(4, 1, 0.0)) == (None, "busy")


def test_what_does_not_answer_is_left_alone_and_probed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    only = lane(Mirroring())
    for _ in range(FAILURES):
        assert only.refusal(0, 1, 0.0) is None
        only.silent("no", 0.0)
        only.leave(1, known=True)
    assert only.refusal(0, 1, 0.5) == "broken"
    assert only.refusal(0, 1, 1.0) is None
    assert only.refusal(0, 1, 1.0) == "broken"
    only.answered()
    assert only.refusal(0, 1, 1.0) is None
    assert [record.getMessage() for record in caplog.records] == [
        "mirror n of route m does not answer and is only tried now and then; clients notice nothing: no",
        "mirror n of route m answers again",
    ]


def test_a_probe_of_which_nothing_is_known_makes_way_for_the_next() -> None:
    only = lane(Mirroring())
    for _ in range(FAILURES):
        only.silent("no", 0.0)
    assert only.refusal(0, 1, 1.0) is None
    only.leave(1, known=False)
    assert only.refusal(0, 1, 1.0) is None


def test_what_is_known_of_a_shadow_outlives_a_change_of_its_limits() -> None:
    state = Mirroring()
    assert lane(state, most_in_flight=1).refusal(0, 1, 0.0) is None
    assert lane(state, most_in_flight=1, percent=50).refusal(0, 1, 0.0) == "full"
    assert lane(state, most_in_flight=2).refusal(0, 1, 0.0) is None


def test_another_place_is_another_shadow() -> None:
    state = Mirroring()
    assert lane(state, most_in_flight=1).refusal(0, 1, 0.0) is None
    assert lane(state, most_in_flight=1, upstreams="other").refusal(0, 1, 0.0) is None
    assert lane(state, most_in_flight=1).refusal(0, 1, 0.0) is None  # what is gone is forgotten


def test_the_variants_of_a_route_share_what_a_shadow_has_under_way() -> None:
    targets = [{"model": "a", "weight": 50}, {"model": "b", "weight": 50}]
    route = {"model": "m", "targets": targets, "mirrors": [{"model": "n", "most_in_flight": 1}]}
    section = TrafficSection.model_validate({"routes": [route]})
    lanes = Mirroring().lanes(Mirrors.compile(section, Snapshot()))["m"]
    assert lanes["a"][0].refusal(0, 1, 0.0) is None
    assert lanes["b"][0].refusal(0, 1, 0.0) == "full"


async def test_the_end_gives_up_what_is_under_way() -> None:
    state, ended = Mirroring(), asyncio.Event()

    async def copying() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    state.start(copying())
    await asyncio.sleep(0)
    await state.aclose()
    assert ended.is_set()
    state.start(copying())  # not begun any more
    await state.aclose()

import asyncio

import pytest

from gateway.core.errors import Overloaded, ShuttingDown
from gateway.frontends.intake import Intake


def test_bytes_are_bounded_and_given_back() -> None:
    intake = Intake(max_bytes=100)
    intake.take(60)
    with pytest.raises(
        Overloaded, match=r"holds 60 bytes .* no room for 50 more; try again .* limits.max_buffered_bytes"
    ):
        intake.take(50)
    intake.take(40)
    assert intake.bytes_held == 100
    intake.give(60)
    intake.take(50)
    assert intake.bytes_held == 90


def test_a_body_alone_always_has_room() -> None:
    intake = Intake(max_bytes=100)
    intake.take(1000)
    with pytest.raises(Overloaded):
        intake.take(1)
    intake.give(1000)
    intake.take(1)


async def test_it_is_empty_once_all_that_entered_have_left() -> None:
    intake = Intake(max_bytes=100)
    await intake.emptied()
    intake.enter()
    intake.enter()
    waiting = asyncio.create_task(intake.emptied())
    intake.leave()
    await asyncio.sleep(0)
    assert not waiting.done()
    assert intake.requests == 1
    intake.leave()
    await waiting


async def test_closed_it_takes_nothing_new_and_still_counts_what_is_in_it() -> None:
    intake = Intake(max_bytes=100)
    intake.enter()
    intake.close()
    with pytest.raises(ShuttingDown, match="is stopping"):
        intake.enter()
    intake.leave()
    await intake.emptied()

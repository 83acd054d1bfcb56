import asyncio
import time

from gateway.alarm import NEVER, Alarm


class Clock:
    """Remembers when it rang."""

    def __init__(self, due: float) -> None:
        self.due = due
        self.rang = asyncio.Event()

    def ring(self) -> None:
        self.due = NEVER
        self.rang.set()


async def test_what_is_due_rings_once_and_the_rest_does_not() -> None:
    alarm = Alarm(grain=0.001)
    now = time.monotonic()
    late, soon, never = Clock(now + 0.02), Clock(now + 0.01), Clock(NEVER)
    for clock in (late, soon, never):
        alarm.add(clock)
        alarm.expect(clock.due)
    await soon.rang.wait()
    assert time.monotonic() >= now + 0.009
    await late.rang.wait()
    assert not never.rang.is_set()
    assert alarm.at == NEVER


async def test_what_is_put_off_rings_later() -> None:
    alarm = Alarm(grain=0.001)
    now = time.monotonic()
    clock = Clock(now + 0.01)
    alarm.add(clock)
    alarm.expect(clock.due)
    clock.due = now + 0.05
    await clock.rang.wait()
    assert time.monotonic() >= now + 0.049


async def test_what_is_forgotten_does_not_ring() -> None:
    alarm = Alarm(grain=0.001)
    now = time.monotonic()
    gone, kept = Clock(now + 0.001), Clock(now + 0.01)
    for clock in (gone, kept):
        alarm.add(clock)
        alarm.expect(clock.due)
    alarm.discard(gone)
    await kept.rang.wait()
    assert not gone.rang.is_set()


async def test_a_closed_alarm_is_silent() -> None:
    alarm = Alarm(grain=0.001)
    clock = Clock(time.monotonic() + 0.001)
    alarm.add(clock)
    alarm.expect(clock.due)
    alarm.close()
    await asyncio.sleep(0.01)
    assert not clock.rang.is_set()

from gateway.backoff import Backoff


def test_the_first_try_follows_at_once_and_the_next_ones_later_and_later() -> None:
    backoff = Backoff(first=1, cap=30, stable=60)
    now, delays = 0.0, []
    for _ in range(8):
        delays.append(backoff.delay(now))
        now += delays[-1] + 1.0  # it lasted a second each time
    assert delays == [0, 1, 2, 4, 8, 16, 30, 30]


def test_a_stable_time_is_a_fresh_start() -> None:
    backoff = Backoff(first=1, cap=30, stable=60)
    assert [backoff.delay(0), backoff.delay(1), backoff.delay(3)] == [0, 1, 2]
    assert backoff.delay(5 + 60) == 0


def test_the_waiting_itself_is_not_stable_time() -> None:
    backoff = Backoff(first=100, cap=100, stable=60)
    assert [backoff.delay(0), backoff.delay(1)] == [0, 100]
    assert backoff.delay(1 + 100 + 59) == 100


def test_the_first_try_may_wait_a_little_too() -> None:
    backoff = Backoff(first=0.5, cap=10, stable=60, soonest=0.1)
    assert [backoff.delay(0) for _ in range(8)] == [0.1, 0.5, 1, 2, 4, 8, 10, 10]

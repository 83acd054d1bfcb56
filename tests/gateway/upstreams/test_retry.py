import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.core.call import Operation, Sequence
from gateway.core.errors import SequenceLost, UpstreamBroken, UpstreamUnavailable
from gateway.upstreams.retry import MIN_RETRIES, WINDOW_SECONDS, RetryBudget, is_safe
from tests.gateway.conftest import MakeCall


@pytest.mark.parametrize("operation", Operation)
def test_what_was_never_sent_is_safe_to_send(make_call: MakeCall, operation: Operation) -> None:
    assert is_safe(make_call(operation=operation), UpstreamUnavailable(), False)
    assert not is_safe(make_call(operation=operation), SequenceLost(), True)


@pytest.mark.parametrize("operation", Operation)
def test_nothing_is_sent_again_that_is_not_to_be(make_call: MakeCall, operation: Operation) -> None:
    call = replace(make_call(operation=operation), retry=False)
    assert not is_safe(call, UpstreamUnavailable(), True)
    assert not is_safe(call, UpstreamBroken(), True)


def test_what_was_sent_is_sent_again_only_if_it_reads(make_call: MakeCall) -> None:
    safe = {operation for operation in Operation if is_safe(make_call(operation=operation), UpstreamBroken(), False)}
    assert safe == {
        Operation.MODEL_METADATA,
        Operation.MODEL_CONFIG,
        Operation.MODEL_READY,
        Operation.MODEL_STATISTICS,
        Operation.SERVER_METADATA,
        Operation.SERVER_LIVE,
        Operation.SERVER_READY,
        Operation.REPOSITORY_INDEX,
    }


def test_inference_that_was_sent_is_sent_again_if_the_operator_says_so(make_call: MakeCall) -> None:
    assert is_safe(make_call(), UpstreamBroken(), True)
    assert is_safe(make_call(operation=Operation.GENERATE), UpstreamBroken(), True)
    assert not is_safe(make_call(operation=Operation.STREAM_INFER), UpstreamBroken(), True)
    assert not is_safe(make_call(operation=Operation.LOAD_MODEL), UpstreamBroken(), True)
    assert not is_safe(make_call(sequence=Sequence("1")), UpstreamBroken(), True)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), st.floats(0, 8)), max_size=60), st.integers(1, 100))
def test_retries_are_at_most_their_share(steps: list[tuple[int, int, float]], percent: int) -> None:
    budget, now = RetryBudget(percent), 100.0
    asked: list[float] = []
    again: list[float] = []
    for requests, retries, pause in steps:
        for _ in range(requests):
            budget.request(now)
            asked.append(now)
        for _ in range(retries):
            if budget.take(now):
                again.append(now)
                recent = sum(at > now - 3 * WINDOW_SECONDS for at in asked)
                assert 100 * sum(at > now - WINDOW_SECONDS for at in again) <= max(100 * MIN_RETRIES, percent * recent)
        now += pause


def test_an_outage_gets_a_fifth_more_requests_and_no_more() -> None:
    budget = RetryBudget(20)
    retries = 0
    for number in range(10_000):
        budget.request(number / 500)
        retries += budget.take(number / 500)
    assert 1900 <= retries <= 2000


def test_tiny_traffic_may_retry_a_little_and_nobody_may_if_it_is_switched_off() -> None:
    budget = RetryBudget(20)
    budget.request(0)
    assert [budget.take(0) for _ in range(MIN_RETRIES + 1)] == [True] * MIN_RETRIES + [False]
    off = RetryBudget(0)
    off.request(0)
    assert not off.take(0)

import pytest

from gateway.core.deadline import Deadline


def test_time_remains_until_the_deadline_and_never_below_zero() -> None:
    later = Deadline.after(60)
    assert 59 < later.remaining() <= 60
    assert not later.expired

    past = Deadline.after(-1)
    assert past.remaining() == pytest.approx(0)
    assert past.expired


def test_the_earlier_of_two_deadlines_is_the_smaller() -> None:
    sooner, later = Deadline.after(1), Deadline.after(2)
    assert min(later, sooner) is sooner

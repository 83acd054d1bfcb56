from gateway.tap.fake import FakeTap
from tests.gateway.tap.test_base import exchange


def test_it_refuses_when_told_to() -> None:
    tap, first, second = FakeTap(), exchange(b"1"), exchange(b"2")
    assert tap.offer(first)
    tap.refuses = True
    assert not tap.offer(second)
    assert tap.offered == [first]

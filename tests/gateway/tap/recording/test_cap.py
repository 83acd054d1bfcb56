from hypothesis import given
from hypothesis import strategies as st

from gateway.tap.recording.cap import surplus
from gateway.tap.recording.places import Kept
from gateway.tap.recording.segment import SegmentName

SEGMENTS = st.lists(st.builds(lambda n, size: (n, size), st.integers(1, 50), st.integers(0, 100)), min_size=1)


def kept(*sizes: tuple[int, int]) -> list[Kept]:
    return [Kept(SegmentName(10**8 + index, requests), size) for index, (requests, size) in enumerate(sizes)]


def test_the_oldest_go_first_by_either_bound() -> None:
    three = kept((10, 100), (10, 100), (10, 100))
    assert surplus(three, 30, 300) == []
    assert surplus(three, 29, 300) == three[:1]
    assert surplus(three, 30, 150) == three[:2]
    assert surplus(three, 1, 1) == three[:2]
    assert surplus([], 1, 1) == []


@given(SEGMENTS, st.integers(1, 200), st.integers(1, 500))
def test_what_stays_is_the_most_that_may(sizes: list[tuple[int, int]], most: int, most_bytes: int) -> None:
    given_ = kept(*sizes)
    gone = surplus(given_, most, most_bytes)
    rest = given_[len(gone) :]
    assert gone + rest == given_

    def fits(some: list[Kept]) -> bool:
        return sum(e.name.requests for e in some) <= most and sum(e.bytes for e in some) <= most_bytes

    assert len(rest) == 1 or fits(rest)
    assert not gone or not fits(given_[len(gone) - 1 :])

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import UpstreamBroken
from gateway.wire.event_lines import MAX_LINE, EventLines

STREAM = b'data: {"a":1}\n\ndata:{"b":2}  \r\n\r\n: note\nevent: x\ndata: \n\ndata: {"c":3}\n\n'
CHANGED = b'data: <{"a":1}>\n\ndata:<{"b":2}>  \r\n\r\n: note\nevent: x\ndata: \n\ndata: <{"c":3}>\n\n'


def changed(pieces: Iterable[bytes]) -> bytes:
    lines = EventLines(lambda text: b"<" + text + b">")
    return b"".join([lines.feed(piece) for piece in pieces]) + lines.rest()


@given(st.lists(st.integers(0, len(STREAM))))
def test_however_it_arrives_each_events_data_is_changed(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    assert changed(STREAM[a:b] for a, b in pairwise(places)) == CHANGED


def test_no_complete_event_is_held_back() -> None:
    lines = EventLines(bytes.upper)
    assert lines.feed(b"data: a\n\ndata: b") == b"data: A\n\n"
    assert lines.feed(bytearray(b"c\n")) == b"data: BC\n"
    assert lines.feed(b"\n") == b"\n"
    assert lines.rest() == b""


def test_what_ends_in_the_middle_is_changed_too() -> None:
    assert changed([b"data: a"]) == b"data: <a>"
    assert changed([b"dat"]) == b"dat"


def test_what_is_held_has_a_bound() -> None:
    lines = EventLines(bytes)
    piece = b"x" * (MAX_LINE // 4)
    for _ in range(4):
        assert lines.feed(piece) == b""
    with pytest.raises(UpstreamBroken, match=f"more than {MAX_LINE} bytes"):
        lines.feed(b"x")

import pytest

from gateway.wire.http2 import frames
from gateway.wire.http2.frames import Http2Error


def test_a_frame_is_its_head_and_its_payload() -> None:
    assert frames.frame(frames.PING, frames.ACK, 0, b"12345678") == b"\0\0\x08\x06\x01\0\0\0\0" + b"12345678"
    assert frames.frame(frames.DATA, 0, 7, b"x" * 70_000)[:9] == b"\x01\x11\x70\0\0\0\0\0\x07"


def test_settings_come_back_as_they_were_said() -> None:
    values = {frames.MAX_FRAME_SIZE: 2**20, frames.INITIAL_WINDOW_SIZE: 5}
    assert frames.read_settings(frames.settings(values)[9:]) == list(values.items())


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        (frames.ENABLE_PUSH, 2, frames.PROTOCOL_ERROR),
        (frames.INITIAL_WINDOW_SIZE, 2**31, frames.FLOW_CONTROL_ERROR),
        (frames.MAX_FRAME_SIZE, 16_383, frames.PROTOCOL_ERROR),
        (frames.MAX_FRAME_SIZE, 2**24, frames.PROTOCOL_ERROR),
    ],
)
def test_settings_out_of_their_range_end_the_connection(name: int, value: int, code: int) -> None:
    with pytest.raises(Http2Error) as caught:
        frames.read_settings(frames.settings({name: value})[9:])
    assert caught.value.code == code


def test_lengths_are_checked() -> None:
    for read, payload in ((frames.read_settings, b"12345"), (frames.read_number, b"123"), (frames.read_goaway, b"1")):
        with pytest.raises(Http2Error) as caught:
            read(payload)
        assert caught.value.code == frames.FRAME_SIZE_ERROR


def test_numbers_come_back() -> None:
    assert frames.read_number(frames.rst_stream(1, 8)[9:]) == 8
    assert frames.read_number(frames.window_update(1, 2**31 - 1)[9:]) == 2**31 - 1
    assert frames.read_goaway(frames.goaway(5, 2, "why")[9:]) == (5, 2)


def test_padding_and_priority_are_taken_off() -> None:
    assert frames.unpadded(frames.PADDED, b"\x02abc\0\0") == b"abc"
    assert frames.unpadded(frames.PRIORITIZED, b"12345abc") == b"abc"
    assert frames.unpadded(frames.PADDED | frames.PRIORITIZED, b"\x0112345abc\0") == b"abc"


@pytest.mark.parametrize("payload", [b"", b"\x05abc", b"\xff"])
def test_more_padding_than_payload_is_an_error(payload: bytes) -> None:
    with pytest.raises(Http2Error):
        frames.unpadded(frames.PADDED, payload)

import pytest

from gateway.wire.http2 import frames
from gateway.wire.http2.frames import Http2Error
from tests.gateway.wire.http2.recorder import RecordedConnection


def test_settings_are_heard_and_acknowledged() -> None:
    connection = RecordedConnection()
    stream = connection.open(1)
    values = {
        frames.INITIAL_WINDOW_SIZE: 70_000,
        frames.MAX_FRAME_SIZE: 20_000,
        frames.MAX_CONCURRENT_STREAMS: 7,
        99: 1,
    }
    connection.hear(frames.SETTINGS, payload=frames.settings(values)[9:])
    assert (connection.peer_window, connection.peer_frame, connection.peer_streams) == (70_000, 20_000, 7)
    assert stream.send_window == 70_000
    assert connection.said() == [(frames.SETTINGS, frames.ACK, 0, b"")]
    connection.hear(frames.SETTINGS)
    assert connection.events == ["settled"]


def test_settings_are_acknowledged_before_what_they_allow() -> None:
    connection = RecordedConnection()
    stream = connection.open(1, 0)
    connection.send(stream, b"", b"x" * 20_000)
    values = {frames.INITIAL_WINDOW_SIZE: frames.DEFAULT_WINDOW + 30_000, frames.MAX_FRAME_SIZE: 2**16}
    connection.hear(frames.SETTINGS, payload=frames.settings(values)[9:])
    acknowledgement, data = connection.said()
    assert acknowledgement == (frames.SETTINGS, frames.ACK, 0, b"")
    assert (data[0], len(data[3])) == (frames.DATA, 20_005)


def test_pings_come_back() -> None:
    connection = RecordedConnection()
    connection.hear(frames.PING, payload=b"12345678")
    assert connection.said() == [(frames.PING, frames.ACK, 0, b"12345678")]
    connection.hear(frames.PING, frames.ACK, payload=b"12345678")
    assert connection.events == ["pong"]


def test_a_stream_that_the_peer_gives_up_is_forgotten() -> None:
    connection = RecordedConnection()
    stream = connection.open(1)
    connection.hear(frames.RST_STREAM, 0, 1, b"\0\0\0\x08")
    connection.hear(frames.RST_STREAM, 0, 1, b"\0\0\0\x08")
    assert stream.events == [("reset", frames.CANCEL)]
    assert connection.streams == {}


def test_farewells_windows_and_unknown_frames() -> None:
    connection = RecordedConnection()
    connection.open(1)
    connection.hear(frames.GOAWAY, payload=b"\0\0\0\x05\0\0\0\x02why")
    connection.hear(frames.WINDOW_UPDATE, 0, 0, b"\0\0\0\x01")
    connection.hear(frames.PRIORITY, 0, 9, b"12345")
    connection.hear(0xEE, 0xFF, 12, b"whatever")
    assert connection.events == [("goaway", 5, 2)]
    assert connection.send_window == frames.DEFAULT_WINDOW + 1
    assert connection.said() == []


def test_a_bad_window_update_ends_its_stream_only() -> None:
    connection = RecordedConnection()
    stream = connection.open(1)
    connection.hear(frames.WINDOW_UPDATE, 0, 1, b"\0\0\0\0")
    assert stream.events == [("reset", frames.PROTOCOL_ERROR)]
    assert connection.said() == [(frames.RST_STREAM, 0, 1, b"\0\0\0\x01")]


@pytest.mark.parametrize(
    ("kind", "flags", "stream_id", "payload", "code"),
    [
        (frames.PING, 0, 0, b"short", frames.FRAME_SIZE_ERROR),
        (frames.PING, 0, 1, b"12345678", frames.PROTOCOL_ERROR),
        (frames.SETTINGS, 0, 1, b"", frames.PROTOCOL_ERROR),
        (frames.SETTINGS, frames.ACK, 0, b"123456", frames.FRAME_SIZE_ERROR),
        (frames.SETTINGS, 0, 0, b"12345", frames.FRAME_SIZE_ERROR),
        (frames.GOAWAY, 0, 1, b"12345678", frames.PROTOCOL_ERROR),
        (frames.RST_STREAM, 0, 0, b"1234", frames.PROTOCOL_ERROR),
        (frames.RST_STREAM, 0, 9, b"1234", frames.PROTOCOL_ERROR),
        (frames.RST_STREAM, 0, 1, b"123", frames.FRAME_SIZE_ERROR),
        (frames.PRIORITY, 0, 0, b"12345", frames.PROTOCOL_ERROR),
        (frames.PRIORITY, 0, 1, b"1234", frames.FRAME_SIZE_ERROR),
        (frames.WINDOW_UPDATE, 0, 0, b"\0\0\0\0", frames.PROTOCOL_ERROR),
        (frames.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff", frames.FLOW_CONTROL_ERROR),
        (frames.WINDOW_UPDATE, 0, 9, b"\0\0\0\1", frames.PROTOCOL_ERROR),
        (frames.WINDOW_UPDATE, 0, 2, b"\0\0\0\1", frames.PROTOCOL_ERROR),
        (frames.PUSH_PROMISE, 0, 1, b"", frames.PROTOCOL_ERROR),
    ],
)
def test_what_breaks_the_connection(kind: int, flags: int, stream_id: int, payload: bytes, code: int) -> None:
    connection = RecordedConnection()
    connection.open(1)
    with pytest.raises(Http2Error) as caught:
        connection.hear(kind, flags, stream_id, payload)
    assert caught.value.code == code

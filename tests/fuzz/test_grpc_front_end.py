"""Whatever comes over HTTP/2: a proper answer, an error frame or a closed connection; nothing of the inside."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.conftest import Fuzzed, fuzzed
from tests.reliability import http2
from tests.reliability.clients import message

STREAMS = st.sampled_from([0, 1, 2, 3, 5, 7, 2**31 - 1, 2**31, 2**32 - 1])
PAYLOADS = st.binary(max_size=300) | st.sampled_from(
    [
        b"",
        b"\x00" * 4,
        b"\xff" * 4,
        b"\x00" * 5,
        b"\x00" * 6,
        b"\x00" * 8,
        b"\x00" * 16385,
        http2.request_fields(),
        http2.prefixed(message()),
        http2.prefixed(message())[:-3],
        b"\x01" + http2.prefixed(message())[1:],
        b"\x00\xff\xff\xff\xff",
        b"\x00\x04\x00\x00\x00\x00",
        b"\x00\x04\xff\xff\xff\xff",
        b"\x00\x05\x00\x00\x00\x01",
        b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80",
        b"\x3f\xff\xff\xff\xff\xff\x0f",
    ]
)
FRAMES = st.builds(http2.frame, st.integers(0, 12), st.integers(0, 255), STREAMS, PAYLOADS)
METHODS = st.sampled_from([b"ModelInfer", b"ModelStreamInfer", b"ServerLive", b"Nothing", b""])
OPEN = http2.PREFACE + http2.settings()


def request(method: bytes, said: bytes, stream: int = 1) -> bytes:
    return http2.frame(http2.HEADERS, http2.END_HEADERS, stream, http2.request_fields(method)) + http2.frame(
        http2.DATA, http2.END_STREAM, stream, said
    )


GOOD = request(b"ModelInfer", http2.prefixed(message()))
ASK = http2.frame(http2.PING, payload=b"all read")


def all_read(received: bytes) -> bool:
    """Whether the gateway has come to the PING at the end of what was said."""
    return any(each.kind == http2.PING and each.payload == b"all read" for each in http2.frames_of(received))


def answered(received: bytes) -> bool:
    """Whether stream 1 has ended."""
    return any(
        each.stream == 1 and (each.kind == http2.RST_STREAM or each.flags & http2.END_STREAM)
        for each in http2.frames_of(received)
        if each.kind in {http2.DATA, http2.HEADERS, http2.RST_STREAM}
    )


def is_proper(received: bytes) -> list[http2.Frame]:
    """It is whole frames that a server may send, and says nothing of the inside."""
    for word in (b"Traceback", b"127.0.0.1", b".py", b"gateway/"):
        assert word not in received, received
    frames = list(http2.frames_of(received))
    assert sum(9 + len(each.payload) for each in frames) == len(received), received
    if frames:
        assert frames[0].kind == http2.SETTINGS, frames
    for each in frames:
        assert each.kind in {
            http2.DATA,
            http2.HEADERS,
            http2.RST_STREAM,
            http2.SETTINGS,
            http2.PING,
            http2.GOAWAY,
            http2.WINDOW_UPDATE,
            http2.CONTINUATION,
        }, frames
        assert (each.stream == 0) == (each.kind in {http2.SETTINGS, http2.PING, http2.GOAWAY}) or (
            each.kind == http2.WINDOW_UPDATE
        ), frames
    return frames


def still_serves(gateway: Fuzzed) -> None:
    received = gateway.send(gateway.grpc, OPEN + GOOD, until=answered)
    data = b"".join(each.payload for each in is_proper(received) if each.kind == http2.DATA)
    assert data == http2.prefixed(message()), received


@fuzzed
@given(st.binary(max_size=2000))
@example(b"GET / HTTP/1.1\r\nhost: t\r\n\r\n")
@example(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
@example(http2.PREFACE)
@example(http2.PREFACE[:10])
@example(b"\x00" * 70_000)
def test_any_bytes(gateway: Fuzzed, said: bytes) -> None:
    is_proper(gateway.send(gateway.grpc, said))
    still_serves(gateway)


@fuzzed
@given(st.binary(max_size=500))
def test_any_bytes_after_the_preface(gateway: Fuzzed, said: bytes) -> None:
    is_proper(gateway.send(gateway.grpc, OPEN + said))
    still_serves(gateway)


@fuzzed
@given(st.lists(FRAMES, max_size=12))
@example([http2.frame(http2.PING, payload=b"8" * 8)] * 3000)
@example([http2.settings(s4=1)] * 3000)
@example([http2.frame(http2.HEADERS, 0, 1, b"x")] + [http2.frame(http2.CONTINUATION, 0, 1, b"x" * 1000)] * 200)
def test_any_frames(gateway: Fuzzed, frames: list[bytes]) -> None:
    is_proper(gateway.send(gateway.grpc, OPEN, b"".join(frames) + ASK, until=all_read))
    still_serves(gateway)


@fuzzed
@given(METHODS, st.lists(FRAMES, max_size=4), st.lists(FRAMES, max_size=4), PAYLOADS)
def test_frames_around_a_request(
    gateway: Fuzzed, method: bytes, before: list[bytes], between: list[bytes], said: bytes
) -> None:
    headers = http2.frame(http2.HEADERS, http2.END_HEADERS, 1, http2.request_fields(method))
    data = http2.frame(http2.DATA, http2.END_STREAM, 1, said)
    is_proper(
        gateway.send(gateway.grpc, OPEN + b"".join(before) + headers + b"".join(between) + data + ASK, until=all_read)
    )
    still_serves(gateway)


@fuzzed
@given(st.data())
def test_a_good_connection_with_bytes_changed(gateway: Fuzzed, data: st.DataObject) -> None:
    said = bytearray(OPEN + GOOD + request(b"ModelStreamInfer", http2.prefixed(message()), 3))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(len(http2.PREFACE), len(said) - 1))
        match data.draw(st.sampled_from(["change", "delete", "insert", "cut"])):
            case "change":
                said[at] = data.draw(st.integers(0, 255))
            case "delete":
                del said[at : at + data.draw(st.integers(1, 20))]
            case "insert":
                said[at:at] = data.draw(st.binary(min_size=1, max_size=20))
            case _:
                del said[at + 1 :]
        if len(said) <= len(http2.PREFACE):
            break
    is_proper(gateway.send(gateway.grpc, bytes(said)))
    still_serves(gateway)


@fuzzed
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    b":path",
                    b":method",
                    b":status",
                    b"te",
                    b"content-type",
                    b"grpc-timeout",
                    b"grpc-encoding",
                    b"connection",
                    b"Upper",
                    b"x-bin",
                    b"content-length",
                ]
            )
            | st.binary(min_size=1, max_size=20),
            st.sampled_from([b"1S", b"99999999H", b"0n", b"-1S", b"gzip", b"br", b"!!!", b"close", b"5"])
            | st.binary(max_size=30),
        ),
        max_size=6,
    ),
    st.booleans(),
    PAYLOADS,
)
def test_any_metadata(gateway: Fuzzed, metadata: list[tuple[bytes, bytes]], whole: bool, said: bytes) -> None:
    block = (http2.request_fields() if whole else b"") + http2.fields(*metadata)
    headers = http2.frame(http2.HEADERS, http2.END_HEADERS, 1, block)
    is_proper(
        gateway.send(
            gateway.grpc, OPEN + headers + http2.frame(http2.DATA, http2.END_STREAM, 1, said) + ASK, until=all_read
        )
    )
    still_serves(gateway)


@fuzzed
@given(METHODS, st.binary(max_size=200), st.integers(0, 255))
def test_any_message(gateway: Fuzzed, method: bytes, said: bytes, flag: int) -> None:
    framed = bytes([flag]) + len(said).to_bytes(4, "big") + said
    frames = is_proper(gateway.send(gateway.grpc, OPEN + request(method, framed), until=answered))
    assert any(each.stream == 1 for each in frames), "the request is answered, or its stream is reset"
    still_serves(gateway)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.http2 import grpc_fields
from gateway.wire.http2.frames import StreamError
from gateway.wire.http2.grpc_fields import percent_decoded, percent_encoded, reply_head, request_head
from gateway.wire.http2.hpack import Decoder, Fields
from gateway.wire.oip_grpc import request_metadata

PSEUDO: Fields = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/s/M"), (b":authority", b"h")]
GRPC = (b"content-type", b"application/grpc+proto")


@given(st.text())
def test_messages_come_back_and_are_printable_on_the_way(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    sent = percent_encoded(text)
    assert all(32 <= byte <= 126 for byte in sent)
    assert percent_decoded(sent) == text


@pytest.mark.parametrize(("sent", "text"), [(b"a%", "a%"), (b"%zz", "%zz"), (b"50%2", "50%2"), (b"%ff", "\ufffd")])
def test_messages_that_are_badly_encoded_are_kept(sent: bytes, text: str) -> None:
    assert percent_decoded(sent) == text


@pytest.mark.parametrize(
    ("value", "seconds"), [(b"1H", 3600), (b"2M", 120), (b"3S", 3), (b"5m", 0.005), (b"7u", 7e-6), (b"9n", 9e-9)]
)
def test_timeouts_are_read_in_every_unit(value: bytes, seconds: float) -> None:
    head = request_head([*PSEUDO, GRPC, (b"grpc-timeout", value)])
    assert head is not None
    assert head.timeout == pytest.approx(seconds)


@pytest.mark.parametrize("value", [b"", b"S", b"1", b"1s", b"-1S", b"123456789S", b"1.5S"])
def test_other_timeouts_are_a_fault(value: bytes) -> None:
    head = request_head([*PSEUDO, GRPC, (b"grpc-timeout", value)])
    assert head is not None
    assert "grpc-timeout" in head.fault


def test_metadata_is_what_the_application_said() -> None:
    more = [(b"te", b"trailers"), (b"user-agent", b"x"), (b"grpc-foo", b"1"), (b"k-bin", b"AP8,AQ=="), (b"k", b"v")]
    head = request_head([*PSEUDO, GRPC, *more])
    assert head is not None
    assert head.metadata == ((b"host", b"h"), (b"k-bin", b"\x00\xff"), (b"k-bin", b"\x01"), (b"k", b"v"))
    assert (head.path, head.encoding, head.refusal, head.fault) == ("/s/M", "identity", 0, "")


@pytest.mark.parametrize(
    ("authority", "host", "told"),
    [(b"h:8081", b"evil", b"h:8081"), (b"h", None, b"h"), (None, b"h", b"h"), (b"", b"h", b"h"), (None, None, None)],
)
def test_the_name_that_was_called_is_said_once(authority: bytes | None, host: bytes | None, told: bytes | None) -> None:
    fields = [*PSEUDO[:3], *([(b":authority", authority)] if authority is not None else []), GRPC, (b"k", b"v")]
    fields += [(b"host", host)] * 2 if host is not None else []
    head = request_head(fields)
    assert head is not None
    assert [value for name, value in head.metadata if name == b"host"] == ([told] if told is not None else [])
    assert request_metadata(head.metadata) == ()
    assert request_head([(b"host", b"h")]) is None  # trailers stay trailers


def test_binary_metadata_that_is_none_is_a_fault() -> None:
    head = request_head([*PSEUDO, GRPC, (b"k-bin", b"*")])
    assert head is not None
    assert "k-bin" in head.fault


def test_what_is_not_grpc_is_refused_in_http() -> None:
    other = request_head([*PSEUDO, (b"content-type", b"application/json")])
    get = request_head([(b":method", b"GET"), *PSEUDO[1:], GRPC])
    assert (other and other.refusal, get and get.refusal) == (415, 405)


def test_trailers_are_not_a_request() -> None:
    assert request_head([(b"k", b"v")]) is None


@pytest.mark.parametrize(
    "fields",
    [
        PSEUDO[:2],
        [*PSEUDO, PSEUDO[0]],
        [*PSEUDO, (b":what", b"")],
        [*PSEUDO, GRPC, (b"connection", b"close")],
        [*PSEUDO[:3], GRPC, PSEUDO[3]],
    ],
)
def test_headers_against_the_rules_end_the_stream(fields: Fields) -> None:
    with pytest.raises(StreamError):
        request_head(fields)


def test_a_reply_is_read_as_it_is_written() -> None:
    decoder: Decoder[Fields] = Decoder(10_000, list)
    begins = reply_head(decoder.decode(grpc_fields.RESPONSE_HEADERS))
    assert (begins.http_status, begins.status) == (200, None)
    ends = reply_head(decoder.decode(grpc_fields.trailers(5, "n\u00f6 %", ((b"a", b"b"), (b"c-bin", b"\xff")))))
    assert (ends.http_status, ends.status, ends.message) == (0, 5, "n\u00f6 %")
    assert ends.metadata == ((b"a", b"b"), (b"c-bin", b"\xff"))
    refused = reply_head(decoder.decode(grpc_fields.http_refusal(503)))
    assert (refused.http_status, refused.grpc_status()) == (503, 14)


@pytest.mark.parametrize("field", [(b"grpc-status", b"x"), (b":status", b""), (b"k-bin", b"*")])
def test_a_reply_that_cannot_be_read_ends_the_stream(field: tuple[bytes, bytes]) -> None:
    with pytest.raises(StreamError):
        reply_head([field])


def test_a_very_long_message_is_cut_to_what_clients_take() -> None:
    decoder: Decoder[Fields] = Decoder(100_000, list)
    assert len(reply_head(decoder.decode(grpc_fields.trailers(13, "x" * 50_000, ()))).message) == 4000

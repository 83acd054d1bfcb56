import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2

from gateway.core.errors import MalformedMessage
from gateway.wire.protobuf import BYTES, FIXED64, VARINT, fields, length_delimited, short_varint, varint


def test_fields_are_told_with_the_place_of_their_content() -> None:
    message = b"\x08\x96\x01" + b"\x12\x02ab" + b"\x19" + bytes(8) + b"\x25" + bytes(4)
    assert list(fields(message)) == [(1, VARINT, 1, 3), (2, BYTES, 5, 7), (3, FIXED64, 8, 16), (4, 5, 17, 21)]
    assert list(fields(b"xx" + message, 5, 9)) == [(2, BYTES, 7, 9)]


@pytest.mark.parametrize(
    "message",
    [
        b"\xff\xff\xff",  # a tag that does not end
        b"\x0a\x05abc",  # longer than what is there
        b"\x0a",  # no length
        b"\x00\x01",  # field number zero
        b"\x0b\x0c",  # groups
        b"\x0f",  # a wire type that does not exist
        b"\x09\x01",  # eight bytes that are not there
        b"\x0d\x01",  # four bytes that are not there
        b"\x08" + b"\xff" * 11,  # a number of more than ten bytes
        b"\x8a\x00\x01m",  # field 1, in two bytes
        b"\x8a\x80\x80\x80\x10\x01m",  # field 2^29+1, which is field 1 to who keeps 32 bits of a tag
        b"\x0a\x81\x80\x80\x80\x10m",  # a length of 2^32+1, which is 1 likewise
    ],
)
def test_what_is_no_protocol_buffer_is_refused_in_tritons_words(message: bytes) -> None:
    with pytest.raises(MalformedMessage, match="Unable to parse request"):
        list(fields(message))


def test_a_field_does_not_reach_beyond_the_message_that_it_is_in() -> None:
    with pytest.raises(MalformedMessage):
        list(fields(b"\x0a\x03abc", 0, 4))
    with pytest.raises(MalformedMessage):
        list(fields(b"\x08\x96\x01", 0, 2))


@given(st.integers(0, 2**64 - 1))
def test_numbers_are_read_as_they_are_written(value: int) -> None:
    message = service_pb2.InferParameter(uint64_param=value).SerializeToString()
    assert varint(message, 1) == (value, len(message))


@given(st.integers(0, 300))
def test_lengths_are_written_as_they_are_read(size: int) -> None:
    message = length_delimited(7, bytes(size))
    assert short_varint(message, 1)[0] == size
    assert service_pb2.ModelInferRequest.FromString(message).raw_input_contents == [bytes(size)]


@given(st.binary(max_size=100) | st.binary(max_size=100).map(bytearray))
def test_any_bytes_are_read_in_order_or_refused(message: bytes) -> None:
    reached = 0
    with contextlib.suppress(MalformedMessage):
        for _, _, start, end in fields(message):
            assert reached < start <= end <= len(message)
            reached = end

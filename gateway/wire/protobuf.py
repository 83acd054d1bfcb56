"""The wire format of protocol buffers: just enough to skip what is not needed.

It is stricter than protobuf itself in one thing: tags are as short as they can be, and neither tags nor lengths have
bits that nobody uses. Libraries cut such numbers off at 32 bits, so a field could be one thing here and another in
Triton.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.core.call import Body
from gateway.core.errors import MalformedMessage

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

_TAG_BITS, _LENGTH_BITS = 32, 31


def fields(message: Body, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int, int, int]]:
    """Each field of the message in `message[start:end]` as (number, wire type, start, end of its content), in order.

    Raises:
        MalformedMessage: the bytes are not a protocol buffer.
    """
    position, length = start, len(message) if end is None else end
    while position < length:
        tag, begin = short_varint(message, position, _TAG_BITS)
        number, kind = tag >> 3, tag & 7
        if begin - position > 1 and tag < 0x80:  # a known field, spelled in a way that nobody writes
            raise unparsable()
        position = begin
        if kind == BYTES:
            size, begin = short_varint(message, position, _LENGTH_BITS)
            position = begin + size
        elif kind == VARINT:
            _, position = varint(message, position)
        elif kind == FIXED64:
            position += 8
        elif kind == FIXED32:
            position += 4
        else:  # groups, which the protocol does not use, and the two wire types that do not exist
            raise unparsable()
        if number == 0 or position > length:
            raise unparsable()
        yield number, kind, begin, position


def varint(message: Body, position: int, most: int = 10) -> tuple[int, int]:
    """The base-128 number of at most `most` bytes at `position`, and where it ends.

    Raises:
        MalformedMessage: it does not end.
    """
    value = 0
    for count, byte in enumerate(message[position : position + most]):
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value, position + count + 1
    raise unparsable()


def short_varint(message: Body, position: int, bits: int = _LENGTH_BITS) -> tuple[int, int]:
    """The same for a tag or a length, which has at most five bytes.

    Raises:
        MalformedMessage: it does not end, or has more bits.
    """
    if position < len(message) and message[position] < 0x80:
        return message[position], position + 1
    value, end = varint(message, position, 5)
    if value >> bits:
        raise unparsable()
    return value, end


def length_delimited(number: int, content: bytes) -> bytes:
    """A field of text, bytes or a message; `number` is at most 15."""
    return bytes((number << 3 | BYTES, *encode_varint(len(content)))) + content


def encode_varint(value: int) -> bytes:
    """A number in base 128; a negative one as its two's complement of 64 bits."""
    encoded = bytearray()
    value %= 2**64
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def unparsable() -> MalformedMessage:
    """The error for bytes that are no protocol buffer, in Triton's own words."""
    return MalformedMessage("Unable to parse request")

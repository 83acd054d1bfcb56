"""HPACK for a peer that says nearly the same with every request.

gRPC peers fill the dynamic table with their first request; from then on most header blocks repeat byte for byte. What a
block says depends on its bytes and on the table alone, so what it was interpreted as is remembered by its bytes, until
the table changes. Some peers (nginx) do it the other way around: they tell the table the same fields with every block,
and never refer to them. What such a block says does not depend on the table, and is remembered with what it tells it.
The Huffman code and the static table come from the `hpack` package.

Source: RFC 7541.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from hpack.exceptions import HPACKDecodingError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

from gateway.wire.http2.frames import COMPRESSION_ERROR, ENHANCE_YOUR_CALM, PROTOCOL_ERROR, Http2Error, StreamError

T = TypeVar("T")
V = TypeVar("V")
Fields = list[tuple[bytes, bytes]]

_STATIC = HeaderTable.STATIC_TABLE
_FIRST_DYNAMIC = len(_STATIC) + 1
_ENTRY_OVERHEAD = 32
_REMEMBERED = 64  # blocks, and Huffman-coded texts, per connection
_LONGEST_REMEMBERED = 2048  # bytes; what clients repeat is shorter, and what is longer would be a way to use up memory
_BOMB = 4  # how many times too large a header list must be for not reading it to its end
TABLE_SIZE = 4096
"""Bytes of the dynamic table that HTTP/2 begins with, and that this decoder stays with."""


class Decoder(Generic[T]):
    """One direction of one connection.

    Args:
        max_list_bytes: most bytes of a decoded header list, counted as HTTP/2 does (32 more a field).
        interpret: what to make of a header list; its results are kept and given out again, so they must not be
            changed. A `StreamError` that it raises passes through.
    """

    def __init__(self, max_list_bytes: int, interpret: Callable[[Fields], T]) -> None:
        self._max_list_bytes = max_list_bytes
        self._interpret = interpret
        self._dynamic: deque[tuple[bytes, bytes]] = deque()
        self._size = 0
        self._limit = TABLE_SIZE
        self._told: Fields = []  # to the table, by the block that is being read
        self._depends = False  # whether what that block says depends on the table, or on its size
        self._remembered: dict[bytes, T] = {}
        self._independent: dict[bytes, tuple[T, Fields, int]] = {}
        self._huffman: dict[bytes, bytes] = {}

    def decode(self, block: bytes) -> T:
        """What `block` says.

        Raises:
            Http2Error: it is not HPACK, or a field is not fit for HTTP/2; the connection cannot go on.
            StreamError: the header list is too large; the table is intact.
        """
        known = self._remembered.get(block)
        if known is not None:
            return known
        independent = self._independent.get(block)
        if independent is not None:
            result, told, size = independent
            if told:
                self._add(told, size)
            return result
        self._told, self._depends = [], False
        try:
            fields = self._fields(block)
        except (IndexError, HPACKDecodingError):
            raise Http2Error(COMPRESSION_ERROR, "a header block cannot be decoded") from None
        result = self._interpret(fields)
        if not self._depends:
            _remember(self._independent, block, (result, self._told, _size(self._told)))
        elif not self._told:
            _remember(self._remembered, block, result)
        return result

    def _fields(self, block: bytes) -> Fields:
        fields: Fields = []
        position, end, total = 0, len(block), 0
        while position < end:
            byte = block[position]
            if 0x80 < byte < _FIRST_DYNAMIC | 0x80:  # an entry of the static table
                field = _STATIC[byte - 0x81]
                position += 1
            elif byte & 0x80:
                index, position = read_integer(block, position, 0x7F)
                field = self._entry(index)
            elif byte & 0xE0 == 0x20:  # a new size of the dynamic table
                if fields:
                    raise IndexError("a table size in the middle of a block")
                limit, position = read_integer(block, position, 0x1F)
                self._resize(limit)
                continue
            else:
                field, position = self._literal(block, position, byte)
            total += len(field[0]) + len(field[1]) + _ENTRY_OVERHEAD
            if total <= self._max_list_bytes:
                fields.append(field)
            elif total > _BOMB * self._max_list_bytes:
                raise Http2Error(ENHANCE_YOUR_CALM, "a header block becomes far larger than it may")
        if total > self._max_list_bytes:
            raise StreamError(ENHANCE_YOUR_CALM, f"the header list is larger than {self._max_list_bytes} bytes")
        return fields

    def _literal(self, block: bytes, position: int, byte: int) -> tuple[tuple[bytes, bytes], int]:
        """One field that is spelt out, at least its value, and where it ends."""
        indexing = byte & 0x40
        index, position = read_integer(block, position, 0x3F if indexing else 0x0F)
        if index:
            name = self._entry(index)[0]
        else:
            name, position = self._text(block, position)
            if not name or name != name.lower():
                raise Http2Error(PROTOCOL_ERROR, "a header's name is empty or has capital letters")
        value, position = self._text(block, position)
        if b"\n" in value or b"\r" in value or b"\0" in value or b"\n" in name or b"\r" in name or b"\0" in name:
            raise Http2Error(PROTOCOL_ERROR, "a header has control characters")
        field = (name, value)
        if indexing:
            self._told.append(field)
            self._add((field,), _size((field,)))
        return field, position

    def _text(self, block: bytes, position: int) -> tuple[bytes, int]:
        """A text, and where it ends."""
        huffman = block[position] & 0x80
        length, start = read_integer(block, position, 0x7F)
        end = start + length
        if end > len(block):
            raise IndexError("a text that is longer than its block")
        text = block[start:end]
        if not huffman:
            return text, end
        plain = self._huffman.get(text)
        if plain is None:
            plain = decode_huffman(text)
            _remember(self._huffman, text, plain)
        return plain, end

    def _entry(self, index: int) -> tuple[bytes, bytes]:
        if index >= _FIRST_DYNAMIC:
            self._depends = True
            return self._dynamic[index - _FIRST_DYNAMIC]
        if not index:
            raise IndexError("index 0")
        return _STATIC[index - 1]

    def _add(self, told: Iterable[tuple[bytes, bytes]], size: int) -> None:
        self._remembered.clear()
        self._dynamic.extendleft(told)
        self._size += size
        self._evict()

    def _resize(self, limit: int) -> None:
        if limit > TABLE_SIZE:
            raise IndexError("a larger table than allowed")
        self._depends = True
        self._remembered.clear()
        self._limit = limit
        self._evict()

    def _evict(self) -> None:
        while self._size > self._limit:
            name, value = self._dynamic.pop()
            self._size -= len(name) + len(value) + _ENTRY_OVERHEAD


def _size(fields: Iterable[tuple[bytes, bytes]]) -> int:
    """Bytes that they take in a table, as HPACK counts."""
    return sum([len(name) + len(value) + _ENTRY_OVERHEAD for name, value in fields])


def _remember(memory: dict[bytes, V], key: bytes, value: V) -> None:
    if len(key) <= _LONGEST_REMEMBERED:
        if len(memory) >= _REMEMBERED:
            memory.clear()
        memory[key] = value


def read_integer(block: bytes, position: int, mask: int) -> tuple[int, int]:
    """A number whose first byte has the bits of `mask` for it, and where it ends."""
    value = block[position] & mask
    position += 1
    if value < mask:
        return value, position
    for shift in (0, 7, 14, 21):  # more than any index or length that this decoder admits
        byte = block[position]
        position += 1
        value += (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise IndexError("a number that is too large")


def integer(value: int, mask: int, first: int) -> bytes:
    """A number in HPACK's form, in the bits of `mask` of a byte whose other bits are those of `first`."""
    if value < mask:
        return bytes((first | value,))
    out = bytearray((first | mask,))
    value -= mask
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def literal(name: bytes, value: bytes, first: int = 0x00) -> bytes:
    """A field that is spelt out, without Huffman coding.

    Args:
        name: in lower case.
        value: any bytes without line ends.
        first: 0x00 keeps it out of the peer's table, 0x40 puts it there.
    """
    return b"".join((bytes((first,)), integer(len(name), 0x7F, 0), name, integer(len(value), 0x7F, 0), value))

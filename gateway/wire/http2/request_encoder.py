"""Request headers for one Triton: what never changes is told once per connection, then named by a byte each."""

from __future__ import annotations

from gateway.core.call import Metadata
from gateway.wire.http2.hpack import TABLE_SIZE, integer, literal

_FIRST = b"\x83\x86"  # entries of the static table: ":method: POST" and ":scheme: http"
_FIRST_DYNAMIC = 62
_OVERHEAD = 32
_TIMEOUT = b"grpc-timeout"


class RequestEncoder:
    """What the peer of one connection knows.

    Args:
        authority: the host that the requests are for.
    """

    def __init__(self, authority: str) -> None:
        self._authority = (b":authority", authority.encode("ascii", "replace"))
        self._constant = (
            (b"te", b"trailers"),
            (b"content-type", b"application/grpc"),
            (b"user-agent", b"triton-gateway"),
        )
        self._table: list[tuple[bytes, bytes]] = []  # in the order they were told: the last has the lowest index
        self._room = TABLE_SIZE
        self._say_first = b""
        self._blocks: dict[bytes, bytes] = {}

    def stop_indexing(self) -> None:
        """The peer keeps a smaller table than HTTP/2 begins with: use none from now on."""
        if self._room >= 0:
            self._say_first = b"\x20"  # "the table has size 0"
            self._room = -1
            self._table.clear()
            self._blocks.clear()

    def encode(self, path: bytes, milliseconds: int, metadata: Metadata) -> bytes:
        """The header block of a request.

        Args:
            path: the method's path, of which there are few.
            milliseconds: until the deadline.
            metadata: what the client sent along, in its form on the wire.
        """
        timeout = b"%dm" % milliseconds if milliseconds < 100_000_000 else b"%dS" % (milliseconds // 1000)
        block = self._blocks.get(path) or self._constant_part(path)
        block = b"%b%c%b" % (block, len(timeout), timeout)
        if metadata:
            block += b"".join([literal(name, value) for name, value in metadata])
        return block

    def _constant_part(self, path: bytes) -> bytes:
        """Everything up to the value of `grpc-timeout`, which comes last."""
        before = len(self._table)
        parts = [self._say_first, _FIRST]
        self._say_first = b""
        parts += [self._field(field) for field in ((b":path", path), self._authority, *self._constant)]
        parts.append(self._timeout_name())
        block = b"".join(parts)
        if len(self._table) != before:
            self._blocks.clear()  # the peer puts new entries first: all indices have changed
        elif parts[0] == b"":
            self._blocks[path] = block
        return block

    def _field(self, field: tuple[bytes, bytes]) -> bytes:
        if field in self._table:
            return integer(_FIRST_DYNAMIC + len(self._table) - 1 - self._table.index(field), 0x7F, 0x80)
        return literal(*field, first=0x40 if self._tell(field) else 0)

    def _timeout_name(self) -> bytes:
        """How the field begins whose value differs from request to request: only its name is in the table."""
        entry = (_TIMEOUT, b"")
        if entry in self._table:
            return integer(_FIRST_DYNAMIC + len(self._table) - 1 - self._table.index(entry), 0x0F, 0)
        first = b"\x40" if self._tell(entry, spare=16) else b"\x00"
        return first + bytes((len(_TIMEOUT),)) + _TIMEOUT

    def _tell(self, field: tuple[bytes, bytes], spare: int = 0) -> bool:
        """Have the peer remember `field` if there is room without forgetting another."""
        size = len(field[0]) + len(field[1]) + spare + _OVERHEAD
        if size > self._room:
            return False
        self._room -= size
        self._table.append(field)
        return True

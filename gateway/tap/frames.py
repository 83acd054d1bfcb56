"""How an exchange travels through the side door, sans I/O.

A frame is a prefix of twelve bytes (big-endian: four that say how long the envelope is, eight for all bodies together),
the envelope, and the bodies one after the other: the request, then the answers. The envelope is the exchange without
its bodies, and their lengths, as msgpack. So bodies are sent from where they lie: copying many megabytes would hold up
every client of a worker.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gateway.tap.exchange import Exchange

MOST_BYTES = 64 * 2**20
"""Of the bodies of one frame."""

_MOST_ENVELOPE = 2**22  # bytes; an error in it may have a megabyte
_PREFIX = struct.Struct(">IQ")
PREFIX_BYTES = _PREFIX.size


class Lengths(NamedTuple):
    """What a prefix says.

    Attributes:
        envelope: bytes of the envelope.
        bodies: bytes of all bodies.
    """

    envelope: int
    bodies: int


class Envelope(Struct, frozen=True, array_like=True):
    """What stands before the bodies.

    Attributes:
        exchange: all but the bodies.
        lengths: bytes of the request, and of each answer.
    """

    exchange: Exchange
    lengths: tuple[int, ...]

    def filled(self, bodies: list[bytes]) -> Exchange:
        """The exchange with its bodies, which are as long as they should be."""
        request, *others = bodies
        answers = [replace(answer, body=body) for answer, body in zip(self.exchange.answers, others, strict=True)]
        return replace(self.exchange, request=request, answers=tuple(answers))


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Envelope).decode


def pieces(exchange: Exchange) -> list[bytes]:
    """The frame of an exchange.

    Raises:
        UnicodeEncodeError: it holds text that is not Unicode.
    """
    bodies = [exchange.request, *[answer.body for answer in exchange.answers]]
    hollow = replace(exchange, request=b"", answers=tuple([replace(answer, body=b"") for answer in exchange.answers]))
    envelope = _encode(Envelope(hollow, tuple(map(len, bodies))))
    return [_PREFIX.pack(len(envelope), exchange.size), envelope, *bodies]


def lengths(prefix: bytes) -> Lengths:
    """What a prefix says.

    Raises:
        ValueError: the frame is too large.
    """
    found = Lengths._make(_PREFIX.unpack(prefix))
    if found.envelope > _MOST_ENVELOPE or found.bodies > MOST_BYTES:
        raise ValueError(
            f"a frame of {found.envelope} and {found.bodies} bytes; the most are {_MOST_ENVELOPE} and {MOST_BYTES}"
        )
    return found


def envelope(data: bytes, bodies: int) -> Envelope:
    """What an envelope says of bodies that have so many bytes together.

    Raises:
        ValueError: it does not fit them, or itself.
        msgspec.DecodeError: it is none.
    """
    found = _decode(data)
    if len(found.lengths) != 1 + len(found.exchange.answers) or min(found.lengths) < 0 or sum(found.lengths) != bodies:
        raise ValueError("the lengths of the bodies are not those of the exchange")
    return found

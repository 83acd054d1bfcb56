"""Compressed request bodies, unpacked within limits: a few kilobytes must not become gigabytes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from gateway.core.call import Body
from gateway.core.errors import InvalidRequest, RequestTooLarge, UnsupportedFeature

_WINDOW = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}  # HTTP's deflate is wrapped as zlib does
_BLOCK = 256 * 1024  # bytes that come out at a time
_PIECE = 64 * 1024  # bytes that go in


def decompress(body: Body, encoding: str, max_bytes: int, max_ratio: int) -> bytes:
    """`body` unpacked, all members of it; "identity" is as it came.

    Args:
        body: the compressed bytes.
        encoding: "gzip" or "deflate" (wrapped as zlib does), or "identity".
        max_bytes: most bytes that may come out.
        max_ratio: how many times longer than `body` the result may be.

    Raises:
        RequestTooLarge: more would come out; no more than the limit and one block was.
        InvalidRequest: the bytes are broken, cut off, or followed by others.
        UnsupportedFeature: another encoding.
    """
    if encoding == "identity":
        return bytes(body)
    if encoding not in _WINDOW:
        raise UnsupportedFeature(f"Unsupported compression type {encoding}: send it as it is, or as gzip or deflate")
    limit = min(max_bytes, max_ratio * len(body))
    blocks: list[bytes] = []
    size = 0
    for block in _unpacked(memoryview(body), encoding):
        size += len(block)
        if size > limit:
            raise _too_large(encoding, max_bytes, max_ratio, size > max_bytes)
        blocks.append(block)
    return blocks[0] if len(blocks) == 1 else b"".join(blocks)


def _unpacked(body: memoryview, encoding: str) -> Iterator[bytes]:
    """The unpacked bytes, block by block; taken in piece by piece, as zlib copies what it has not used of a piece."""
    position = 0
    stream = zlib.decompressobj(_WINDOW[encoding])
    while True:
        rest: bytes | memoryview = body[position : position + _PIECE]
        position += len(rest)
        try:
            while not stream.eof:
                block = stream.decompress(rest, _BLOCK)
                yield block
                rest = stream.unconsumed_tail
                if not rest and len(block) < _BLOCK:
                    break
        except zlib.error as error:
            raise InvalidRequest(f"the body is not valid {encoding}: {_reason(error)}") from None
        if stream.eof:
            position -= len(stream.unused_data)
            if position == len(body):
                return
            if (
                encoding != "gzip" or bytes(body[position : position + 2]) != b"\x1f\x8b"
            ):  # gzip may have several members
                left = len(body) - position
                raise InvalidRequest(f"{left} bytes follow the end of the {encoding} body; send nothing after it")
            stream = zlib.decompressobj(_WINDOW[encoding])
        elif position == len(body):
            raise InvalidRequest(f"the {encoding} body ends in the middle; send all of it")


def _reason(error: zlib.error) -> str:
    """The library's words without its own code: "Error -3 while decompressing data: incorrect header check"."""
    return str(error).rpartition(": ")[2]


def _too_large(encoding: str, max_bytes: int, max_ratio: int, absolute: bool) -> RequestTooLarge:
    if absolute:
        return RequestTooLarge(
            f"the {encoding} body unpacks to more than the maximum of {max_bytes} bytes; send less at a time"
        )
    return RequestTooLarge(
        f"the {encoding} body unpacks to more than {max_ratio} times its length; send it less compressed, or as it is"
    )

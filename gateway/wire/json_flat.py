"""Takes long flat arrays out of a request's JSON without reading them: nearly all of a large request is numbers.

Where such an array ends is found by its bytes alone, at the speed of memory. Between its brackets is no quotation mark,
bracket, brace or slash (of a comment), so to any parser it holds scalars, or makes the whole request an error: Triton's
parser says so, and nothing can hide there. Whatever its surroundings are, the colon before it is outside of strings, or
what is left is no JSON either.
"""

from __future__ import annotations

import re

from gateway.core.call import Body

LONG = 2048
"""Bytes from which an array is worth it; shorter ones cost less to read."""

_KEY = b'"data"'
_TRIES = 1_000  # keys that are looked at; the time for those of a hostile request
_BEGIN = re.compile(rb"[ \t\r\n]*:[ \t\r\n]*\[")
_NOT_FLAT = (b"[", b"{", b"/", b"\0")  # a NUL ends the text for some parsers


def without_flat_arrays(text: Body) -> Body:
    """`text` with the long flat arrays emptied that are the value of a key `data`; itself if there are none."""
    pieces: list[Body] = []
    done = position = 0
    for _ in range(_TRIES):
        found = text.find(_KEY, position)
        if found < 0:
            break
        position = found + len(_KEY)
        begin = _BEGIN.match(text, position)
        if begin is None or text[found - 1 : found] == b"\\":  # the end of another key
            continue
        start = begin.end()
        quote = text.find(b'"', start)
        position = quote if quote >= 0 else len(text)  # no key is in between, and nothing is looked at twice
        end = text.find(b"]", start, position)
        if end - start >= LONG and not any(text.find(byte, start, end) >= 0 for byte in _NOT_FLAT):
            pieces.append(text[done:start])
            done = end
    if not pieces:
        return text
    pieces.append(text[done:])
    return b"".join(pieces)

"""The JSON of a request without its tensors: small, exact, and cheap to get at however large the request is.

Rules:
- What the gateway cannot read, Triton does not get: parsers differ in what they forgive (a NUL that ends the text, a
  byte order mark), and what only Triton can read nobody else would have judged.
- Of a key given twice, Triton takes the first value and most parsers take the last one. An object with such a key
  becomes a `Repeated`, and whoever needs that object refuses it.
- A small request is read as a whole. Of a large one, the long values are first cut out: msgspec finds where each
  begins and ends without making objects of what is inside. A cut is made only behind a key that is found in the text
  itself, so what is left is the same request with shorter values; what could not be cut is read, up to a limit.
- Long flat arrays go first, unread (`json_flat.py`): whether the numbers in them are any is for Triton to say.
- Triton's own parser is recursive, so the depth of all of it is checked: a cut leaves brackets that nest as deep.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from json.scanner import make_scanner
from typing import NamedTuple

import msgspec

from gateway.core.call import Body
from gateway.core.errors import InvalidRequest, MalformedMessage
from gateway.wire import json_flat
from gateway.wire.parameters import MEANINGFUL

MAX_DEPTH = 100
"""Deepest nesting; Triton's own limit since it has one (2.51 has none and overflows its stack)."""
MAX_BYTES = 1024 * 1024
"""Longest JSON that is read into objects, after the cuts."""
MAX_MEMBERS = 10_000
"""Most objects and members of objects in a request whose long values are cut out."""
SMALL = 512
"""Bytes up to which reading everything is cheaper than cutting first."""

_LONG = 64  # bytes below which a value is not worth a cut
_TRIES = 1_000  # places where a key stands that are looked at in search of its long value
_BRACKETS_READ = 16 * 2**20  # bytes of brackets that are looked at to find their depth: 0.1 s
_PIECE = 2**20

_SPACE = b" \t\r\n"
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_ALL_BYTES = bytes(range(256))
_NOT_FINITE = (b"NaN", b"Infinity", b"Inf")  # no JSON, but Triton reads them
_COLON = re.compile(rb"[ \t\r\n]*:[ \t\r\n]*")
_REASONS = {  # the standard library's words for a syntax error, and those of Triton's parser
    "Expecting value": "Invalid value.",
    "Expecting ':' delimiter": "Missing a colon after a name of object member.",
    "Expecting ',' delimiter": "Missing a comma, or the end of an array or object.",
    "Expecting property name enclosed in double quotes": "Missing a name for object member.",
    "Extra data": "The document root must not be followed by other values.",
    "Invalid control character at": "Invalid escape character in string.",
    "Invalid \\escape": "Invalid escape character in string.",
    "Unterminated string starting at": "Missing a closing quotation mark in string.",
}


class Repeated(dict[str, object]):
    """An object of which a key is given twice: it means different things to different parsers."""


class Cut(NamedTuple):
    """A key as it stands between its quotes, and the value behind it that is to be cut out."""

    key: bytes
    value: bytes


class _Input(msgspec.Struct):
    data: msgspec.Raw = msgspec.Raw()


class _Infer(msgspec.Struct):
    inputs: list[_Input] = []


_infer = msgspec.json.Decoder(_Infer)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    return members if len(members) == len(pairs) else Repeated(members)


_scan: Callable[[str, int], tuple[object, int]] = make_scanner(
    json.JSONDecoder(object_pairs_hook=_object)  # type: ignore[arg-type] # typeshed wants a scanner to make a scanner
)
_long_numbers = json.JSONDecoder(object_pairs_hook=_object, parse_int=float)


def tensor_data(head: Body) -> list[Cut]:
    """What to cut out of an inference request: the data of its inputs."""
    return [Cut(b"data", bytes(one.data)) for one in _infer.decode(head).inputs]


def long_members(head: Body) -> list[Cut]:
    """What to cut out of a free-form object: its long texts, and its long arrays if there is no object in them.

    What has a meaning to Triton stays, however long it is.
    """
    found = []
    for key, raw in _members.decode(head).items():
        value = bytes(raw)
        shortens = value[:1] == b'"' or (value[:1] == b"[" and b"{" not in value)
        if shortens and len(value) >= _LONG and key.isidentifier() and key.isascii() and key not in MEANINGFUL:
            found.append(Cut(key.encode(), value))
    return found


def read(head: Body, cuts: Callable[[Body], Iterable[Cut]]) -> object:
    """The value of `head`, in which what `cuts` finds may be missing.

    Raises:
        MalformedMessage: it is no JSON.
        InvalidRequest: it nests too deep, or there is too much beside the tensors.
    """
    if len(head) > json_flat.LONG and (short := json_flat.without_flat_arrays(head)) is not head:
        try:
            return _read(short, cuts)
        except MalformedMessage:
            pass  # at a place that it does not have in the whole
    return _read(head, cuts)


def _read(head: Body, cuts: Callable[[Body], Iterable[Cut]]) -> object:
    if len(head) > SMALL:
        head = _shortened(head, cuts)
    try:
        text = str(head, "utf-8", "surrogateescape")  # Triton takes bytes that are no text inside of strings
        value, end = _scan(text, 0)
    except (StopIteration, ValueError):
        value, end = _read_slowly(head, text), len(text)
    except RecursionError:
        raise _too_deep() from None
    if end != len(text) and (rest := text[end:].lstrip(" \t\r\n")):
        raise MalformedMessage(_parse_error("Extra data", len(head) - len(rest.encode("utf-8", "surrogateescape"))))
    if head.count(b"[") + head.count(b"{") > MAX_DEPTH and depth(head) > MAX_DEPTH:
        raise _too_deep()
    return value


def check(head: Body) -> None:
    """Refuse what nests too deep; whether it is JSON is for Triton to say.

    Raises:
        InvalidRequest: it does, or it cannot be told.
    """
    if head.count(b"[") + head.count(b"{") <= MAX_DEPTH:
        return
    try:
        msgspec.json.decode(head, type=msgspec.Raw)
    except RecursionError:
        raise _too_deep() from None
    except msgspec.DecodeError as error:
        raise MalformedMessage(_parse_error(str(error), len(head))) from None
    if depth(head) > MAX_DEPTH:
        raise _too_deep()


def _read_slowly(head: Body, text: str) -> object:
    """The same for what has space before it, numbers longer than Python's own limit, or errors."""
    try:
        return _long_numbers.decode(text)
    except json.JSONDecodeError as error:
        start = head.lstrip(_SPACE)
        if not start or start[:1] == b"\0":
            raise MalformedMessage(_parse_error("The document is empty.", len(head) - len(start))) from None
        end = len(text) if error.msg.startswith("Unterminated") else error.pos
        position = len(text[:end].encode("utf-8", "surrogateescape"))
        raise MalformedMessage(_parse_error(error.msg, position)) from None
    except RecursionError:
        raise _too_deep() from None


def _shortened(head: Body, cuts: Callable[[Body], Iterable[Cut]]) -> Body:
    """`head` without its long values; as it is where they cannot be told, if it is not too long for that."""
    if (_many(head, b"{") or _many(head, b":")) and len(_outside_strings(head, b"{:")) > MAX_MEMBERS:
        raise InvalidRequest(f"the request's JSON has more than {MAX_MEMBERS} objects and members; send fewer")
    try:
        text, found = _find(head, cuts)
    except RecursionError:
        raise _too_deep() from None
    except (msgspec.ValidationError, UnicodeDecodeError):
        pass  # JSON, but not of the form that has something to cut
    except msgspec.DecodeError as error:
        if len(head) > MAX_BYTES:
            raise MalformedMessage(_parse_error(str(error), len(head))) from None
    else:
        head = _cut(head, text, found)
    if len(head) > MAX_BYTES:
        raise InvalidRequest(
            f"the request's JSON has more than {MAX_BYTES} bytes beside the tensors' data; send less of it"
        )
    return head


def _find(head: Body, cuts: Callable[[Body], Iterable[Cut]]) -> tuple[Body, Iterable[Cut]]:
    """What to cut, and a text as long as `head` in which that stands: `head` itself, if it is JSON by the letter."""
    try:
        return head, cuts(head)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        text = head
        for number in _NOT_FINITE:
            text = text.replace(number, b"1" * len(number))
        return text, cuts(text)


def _cut(head: Body, text: Body, cuts: Iterable[Cut]) -> Body:
    """`head` with each value replaced by a short one that nests as deep; `text` is where the values are found."""
    pieces: list[Body] = []
    done = position = tries = 0
    for key, value in cuts:
        if len(value) < _LONG or value[0] not in b'["':
            continue  # texts and arrays say themselves where they end
        quoted = b'"' + key + b'"'
        while tries < _TRIES:
            tries += 1
            found = text.find(quoted, position)
            if found < 0:
                break
            position = found + len(quoted)
            colon = _COLON.match(text, position)
            # An escaped quote before it means that this is the end of another key.
            if colon and text[found - 1 : found] != b"\\" and text.startswith(value, colon.end()):
                levels = depth(value) if value[:1] == b"[" else 0
                pieces += (head[done : colon.end()], b"[" * levels + b"]" * levels or b'""')
                done = position = colon.end() + len(value)
                break
    pieces.append(head[done:])
    return b"".join(pieces)


def depth(text: Body) -> int:
    """How deep valid JSON nests; of what nests too deep, or is too expensive to tell, more than `MAX_DEPTH`.

    Strings are taken out and innermost pairs of brackets removed level by level, all of it in C. The brackets of a
    tensor get fewer by its innermost dimension each time.
    """
    if text[:1] == b"[" and text.find(b"[", 1) < 0 and b"{" not in text:
        return 1  # by far the fastest way to say so of a flat tensor
    if b'"' not in text and 2 * text.count(b"[") > _BRACKETS_READ:
        return MAX_DEPTH + 1
    brackets = _outside_strings(text, b"[]{}").translate(_ONE_KIND)
    levels, budget = 0, _BRACKETS_READ
    while brackets:
        budget -= len(brackets)
        levels += 1
        if levels > MAX_DEPTH or budget < 0:
            return MAX_DEPTH + 1
        brackets = brackets.replace(b"[]", b"")
    return levels


def _outside_strings(text: Body, kept: bytes) -> bytes:
    """Those bytes of valid JSON that are among `kept` and not in a string."""
    if b"\\" in text:
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    rest = text.translate(None, _ALL_BYTES.translate(None, kept + b'"')).replace(b'""', b"")
    if b'"' not in rest:
        return bytes(rest)
    pieces, inside = [], 0
    for start in range(0, len(rest), _PIECE):  # piece by piece, because each string becomes an object for a moment
        parts = rest[start : start + _PIECE].split(b'"')
        pieces.append(b"".join(parts[inside::2]))
        inside = (inside + len(parts) - 1) % 2
    return b"".join(pieces)


def _many(text: Body, byte: bytes) -> bool:
    """Whether `byte` may come more than `MAX_MEMBERS` times; of few, finding each is faster than counting."""
    position = -1
    for _ in range(MAX_MEMBERS // 2):
        position = text.find(byte, position + 1)
        if position < 0:
            return False
    return True


def _parse_error(reason: str, position: int) -> str:
    return f"failed to parse the request JSON buffer: {_REASONS.get(reason, reason)} at {position}"


def _too_deep() -> InvalidRequest:
    return InvalidRequest(f"request JSON nests deeper than {MAX_DEPTH} levels; flatten 'data' to one array")

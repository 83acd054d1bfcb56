"""Whether a document in UBJSON, XGBoost's binary JSON, is whole; its values are not looked at.

XGBoost reads past the end of one that was cut short, which may end the process.
"""

from __future__ import annotations

_FIXED = {ord(mark): size for mark, size in zip("ZNTFiUIlLdDC", (0, 0, 0, 0, 1, 1, 2, 4, 8, 4, 8, 1), strict=True)}
_LENGTHS = frozenset(b"iUIlL")
_SIGNED = frozenset(b"iIlL")
_TEXTS = frozenset(b"SH")
_LIST, _MAP, _LIST_END, _MAP_END, _TYPE, _COUNT = b"[{]}$#"


def is_whole(content: bytes) -> bool:
    """Whether the bytes are one document of UBJSON, from the first to the last."""
    try:
        return _skip(content, 1, content[0]) == len(content)
    except (IndexError, RecursionError, ValueError):
        return False


def _skip(content: bytes, at: int, kind: int) -> int:
    """The place behind the value of this kind that begins at `at`."""
    if kind in _FIXED:
        return _inside(content, at + _FIXED[kind])
    if kind in _TEXTS:
        length, at = _length(content, at)
        return _inside(content, at + length)
    if kind in (_LIST, _MAP):
        return _skip_container(content, at, kind)
    raise ValueError(f"there is no type {kind}")


def _skip_container(content: bytes, at: int, container: int) -> int:
    element, count = None, None
    if content[at] == _TYPE:
        element, at = content[at + 1], at + 2
    if content[at] == _COUNT:
        count, at = _length(content, at + 1)
    if container == _LIST and count is not None and element in _FIXED:
        return _inside(content, at + count * _FIXED[element])
    end, seen = (_LIST_END if container == _LIST else _MAP_END), 0
    while seen != count:
        if count is None and content[at] == end:
            return at + 1
        if container == _MAP:
            length, at = _length(content, at)
            at = _inside(content, at + length)
        kind = content[at] if element is None else element
        at = _skip(content, at + (element is None), kind)
        seen += 1
    return at


def _length(content: bytes, at: int) -> tuple[int, int]:
    kind = content[at]
    if kind not in _LENGTHS:
        raise ValueError(f"{kind} is no length")
    end = _inside(content, at + 1 + _FIXED[kind])
    length = int.from_bytes(content[at + 1 : end], "big", signed=kind in _SIGNED)
    if length < 0:
        raise ValueError("a length below zero")
    return length, end


def _inside(content: bytes, at: int) -> int:
    if at > len(content):
        raise IndexError(at)
    return at

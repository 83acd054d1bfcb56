"""The members of Triton's JSON, each as the text that it came as: what is not asked for is not decoded.

Triton writes numbers that JSON does not have (NaN, Infinity), and texts that are no UTF-8. msgspec refuses them where
it reads them; then the standard library reads the whole, and each member is written anew.
"""

from __future__ import annotations

import json

import msgspec

from gateway.core.call import Body

Members = dict[str, msgspec.Raw]

_members = msgspec.json.Decoder(Members)
_rows = msgspec.json.Decoder(list[Members])
encode = msgspec.json.Encoder().encode


def members(text: Body | msgspec.Raw) -> Members:
    """The members of an object.

    Raises:
        ValueError: it is none.
    """
    try:
        return _members.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _written(slowly(text))


def rows(text: Body | msgspec.Raw) -> list[Members]:
    """The members of each object in an array.

    Raises:
        ValueError: it is no array of objects.
    """
    try:
        return _rows.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = slowly(text)
        if not isinstance(found, list):
            raise ValueError("it is no array") from None
        return [_written(one) for one in found]


def slowly(text: Body | msgspec.Raw) -> object:
    """The value of a text that msgspec refuses.

    Raises:
        ValueError: it is no JSON even with the numbers that JSON does not have.
    """
    try:
        return json.loads(str(memoryview(text), "utf-8", "surrogateescape"))
    except RecursionError:
        raise ValueError("it nests too deep") from None


def raw(value: object) -> msgspec.Raw:
    """`value` as JSON, in which numbers may be that JSON does not have."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return msgspec.Raw(text.encode("utf-8", "surrogateescape"))


def _written(value: object) -> Members:
    if not isinstance(value, dict):
        raise ValueError("it is no object")
    return {name: raw(member) for name, member in value.items()}

"""Changes of the outputs of Triton's HTTP answers: other names, fewer outputs, fewer digits.

Rules:
- Only what a rule names is decoded; the data of all other outputs stays the text, or the bytes, that it is.
- What cannot be read is not passed on: it might hold what is to be left out.
- An inference's outputs stand in an array `outputs`, and their bytes, where they are not JSON, in the same order behind
  the head. Those of `generate` are members of the outermost object. No tensor can pass for that array: what `generate`
  writes are numbers, texts and arrays of them, never objects.
- Bytes are never rounded: who asks for tensors as bytes wants them as they are.

Source: the KServe v2 protocol with Triton's extensions for binary data and for generate.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gateway.core.call import Body, Metadata, Reply
from gateway.core.errors import GatewayError, UpstreamBroken
from gateway.wire import compression, json_members
from gateway.wire.event_lines import EventLines
from gateway.wire.json_members import Members
from gateway.wire.oip_http import HEAD_LENGTH

_UNPACKED = 2**28  # bytes that a compressed answer may become
_RATIO = 1000
_BEGINNING = 64  # bytes in which an array of objects shows itself
_UNREADABLE = "the model's answer is not in the form in which its outputs can be changed, so it is not passed on"


class Outputs:
    """What is changed, by the names that the outputs have in Triton.

    Args:
        rename: new names.
        drop: outputs that are left out.
        digits: decimal places to which numbers are rounded.
    """

    def __init__(self, rename: Mapping[str, str], drop: frozenset[str], digits: Mapping[str, int]) -> None:
        self._rename = {old: (new, json_members.raw(new)) for old, new in rename.items()}
        self._drop = drop
        self._digits = dict(digits)

    def apply(self, reply: Reply) -> Reply:
        """The answer to an inference, or to `generate`, with its outputs changed; an error has none, and stays.

        Raises:
            UpstreamBroken: it cannot be read.
        """
        if reply.status != 200:
            return reply
        reply = _unpacked(reply)
        length = _head_length(reply)
        try:
            head, tail = self._changed(reply.body, length)
        except (ValueError, TypeError, KeyError, msgspec.MsgspecError):
            raise UpstreamBroken(_UNREADABLE) from None
        metadata = reply.metadata
        if length is not None:
            metadata = tuple([(name, b"%d" % len(head) if name == HEAD_LENGTH else value) for name, value in metadata])
        return Reply(reply.status, metadata, b"".join((head, *tail)), reply.message, reply.variant)

    def events(self) -> EventLines:
        """For the events of one answer to `generate_stream`; raises `UpstreamBroken` at one that cannot be read."""
        return EventLines(self._event)

    def _event(self, text: bytes) -> bytes:
        try:
            members = json_members.members(text)
            return text if list(members) == ["error"] else json_members.encode(self._members(members))
        except (ValueError, TypeError, msgspec.MsgspecError):
            raise UpstreamBroken(_UNREADABLE) from None

    def _changed(self, body: Body, length: int | None) -> tuple[bytes, list[memoryview]]:
        """The new head, and the bytes behind it."""
        view = memoryview(body)
        members = json_members.members(body if length is None else bytes(view[:length]))
        if not bytes(memoryview(members.get("outputs", b""))[:_BEGINNING]).lstrip(b"[ \t\r\n").startswith(b"{"):
            if length not in {None, len(body)}:
                raise ValueError("there are bytes, and no outputs")
            return json_members.encode(self._members(members)), []
        kept: list[Members] = []
        tail: list[memoryview] = []
        position = len(body) if length is None else length
        for output in json_members.rows(members["outputs"]):
            size = _binary_size(output)
            name = msgspec.json.decode(output["name"], type=str)
            if name not in self._drop:
                kept.append(self._output(name, output))
                tail.append(view[position : position + size])
            position += size
        if position != len(body):
            raise ValueError("the bytes are not those of the outputs")
        _told_apart([bytes(output["name"]) for output in kept])
        return json_members.encode({**members, "outputs": kept}), tail

    def _output(self, name: str, output: Members) -> Members:
        """One output of an inference."""
        digits = self._digits.get(name)
        if digits is not None and "data" in output:
            output["data"] = _rounded(output["data"], digits)
        if name in self._rename:
            output["name"] = self._rename[name][1]
        return output

    def _members(self, members: Members) -> Members:
        """All of an answer to `generate`."""
        kept = [
            (
                self._rename[name][0] if name in self._rename else name,
                _rounded(value, self._digits[name]) if name in self._digits else value,
            )
            for name, value in members.items()
            if name not in self._drop
        ]
        _told_apart([name for name, _ in kept])
        return dict(kept)


def _unpacked(reply: Reply) -> Reply:
    """`reply` without its content encoding.

    Raises:
        UpstreamBroken: it cannot be unpacked.
    """
    encoding = next((value.decode("latin-1") for name, value in reply.metadata if name == b"content-encoding"), "")
    if not encoding:
        return reply
    try:
        body = compression.decompress(reply.body, encoding.lower(), _UNPACKED, _RATIO)
    except GatewayError:
        raise UpstreamBroken(_UNREADABLE) from None
    metadata: Metadata = tuple([pair for pair in reply.metadata if pair[0] != b"content-encoding"])
    return Reply(reply.status, metadata, body, reply.message, reply.variant)


def _head_length(reply: Reply) -> int | None:
    """Bytes of the JSON before the tensors; None if all of it is JSON."""
    for name, value in reply.metadata:
        if name == HEAD_LENGTH:
            if not value.isdigit() or int(value) > len(reply.body):
                raise UpstreamBroken(_UNREADABLE)
            return int(value)
    return None


def _binary_size(output: Members) -> int:
    """Bytes of an output behind the head."""
    parameters = output.get("parameters")
    if parameters is None:
        return 0
    size = json_members.members(parameters).get("binary_data_size")
    if size is None:
        return 0
    count = msgspec.json.decode(size, type=int)
    if count < 0:
        raise ValueError("a size is negative")
    return count


def _told_apart(names: list[str] | list[bytes]) -> None:
    if len(set(names)) < len(names):
        raise ValueError("two outputs have one name")


def _rounded(data: msgspec.Raw, digits: int) -> msgspec.Raw:
    """The numbers of a tensor, or of a scalar, with at most so many decimal places."""
    try:
        return msgspec.Raw(json_members.encode(_round(msgspec.json.decode(data), digits)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return json_members.raw(_round(json_members.slowly(data), digits))  # not finite, or no text


def _round(value: object, digits: int) -> object:
    if isinstance(value, list):
        return [round(one, digits) if type(one) is float else _round(one, digits) for one in value]
    return round(value, digits) if isinstance(value, float) else value

"""The model's name in Triton's HTTP answers, put in another's place without a look at the tensors.

Why no text can pass for the name: Triton writes `id`, if the client gave one, and then `model_name`, before everything
else. The pattern for that is anchored at the first byte and reads the id as JSON does, from quote to quote with each
backslash taken together with what it escapes. So whatever stands in the id is inside of the id for the pattern, as it
is for every parser, and the key behind it is a key of the outermost object. What begins in another way is not searched:
its members are read, one level deep, and only a member that is called `model_name` is the name.

Source: Triton's http_server.cc; the KServe v2 protocol.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache

from gateway.core.call import Body, Metadata, Operation, Reply
from gateway.wire import json_members, rename_words
from gateway.wire.event_lines import EventLines
from gateway.wire.oip_http import HEAD_LENGTH

_REMEMBERED = 1024
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_IN_FRONT = re.compile(
    rb"[ \t\r\n]*+\{[ \t\r\n]*+(?:\"id\"[ \t\r\n]*+:[ \t\r\n]*+" + _STRING + rb"[ \t\r\n]*+,[ \t\r\n]*+)?+"
    rb"\"model_name\"[ \t\r\n]*+:[ \t\r\n]*+(" + _STRING + rb")",
    re.DOTALL,
)

# Looking up and hashing a member of an Enum costs as much as the rest.
_INFER, _GENERATE = Operation.INFER, Operation.GENERATE
_DESCRIBED = (Operation.MODEL_METADATA, Operation.MODEL_CONFIG)
_STATISTICS = Operation.MODEL_STATISTICS


def reply_for(operation: Operation, reply: Reply, real: str, model: str) -> Reply:
    """`reply`, Triton's answer to `operation`, in the name of `model`.

    A body that cannot be read stays as it is; so does one with a content encoding.

    Args:
        operation: what was asked.
        reply: what Triton answered.
        real: the name that Triton knows.
        model: the name that the client knows.
    """
    body = reply.body
    if real == model or not body:
        return reply
    length, metadata = len(body), reply.metadata
    told = False
    for name, value in metadata:
        if name == b"content-encoding":
            return reply
        if name == HEAD_LENGTH and value.isdigit():
            length, told = min(length, int(value)), True
    if reply.status >= 400:
        return Reply(reply.status, metadata, rename_words.rename(bytes(body), real, model), variant=reply.variant)
    if operation is _INFER or operation is _GENERATE:
        renamed = _renamed(body, length, model)
    elif operation in _DESCRIBED:
        renamed = _described(body, model)
    elif operation is _STATISTICS:
        renamed = _counted(body, model)
    else:
        return reply
    if told:
        metadata = _corrected(metadata, length + len(renamed) - len(body))
    return Reply(reply.status, metadata, renamed, variant=reply.variant)


class Events(EventLines):
    """The events of generate_stream in the name of `model`.

    Args:
        real: the name that Triton knows.
        model: the name that the client knows.
    """

    def __init__(self, real: str, model: str) -> None:
        super().__init__(self._event)
        self._real, self._model = real, model

    def _event(self, text: bytes) -> bytes:
        if text.startswith(b'{"error"'):
            return rename_words.rename(text, self._real, self._model)
        return bytes(_renamed(text, len(text), self._model))


@lru_cache(_REMEMBERED)
def _quoted(model: str) -> bytes:
    return json.dumps(model).encode()


def _renamed(body: Body, length: int, model: str) -> Body:
    """`body`, whose first `length` bytes are JSON, with another `model_name`."""
    found = _IN_FRONT.match(body, 0, length)
    if found is not None:
        start, end = found.span(1)
        view = memoryview(body)
        return b"".join((view[:start], _quoted(model), view[end:]))
    view = memoryview(body)
    try:
        members = json_members.members(bytes(view[:length]))
    except ValueError:
        return body
    if "model_name" not in members:
        return body
    members["model_name"] = json_members.raw(model)
    return b"".join((json_members.encode(members), view[length:]))


def _described(body: Body, model: str) -> Body:
    try:
        members = json_members.members(body)
    except ValueError:
        return body
    if "name" not in members:
        return body
    members["name"] = json_members.raw(model)
    return json_members.encode(members)


def _counted(body: Body, model: str) -> Body:
    name = json_members.raw(model)
    try:
        members = json_members.members(body)
        rows = json_members.rows(members["model_stats"])
    except (ValueError, KeyError):
        return body
    for row in rows:
        row["name"] = name
    return json_members.encode({**members, "model_stats": rows})


def _corrected(metadata: Metadata, length: int) -> Metadata:
    return tuple([(name, b"%d" % length if name == HEAD_LENGTH else value) for name, value in metadata])

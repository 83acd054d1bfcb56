"""What a request's JSON may say: checked before Triton sees it, and read for the sequence that it belongs to.

Only what Triton gives a meaning to is looked at, and only what Triton would not refuse by itself: its own words for a
missing input or a wrong shape are better than ours.
"""

from __future__ import annotations

from gateway.core.call import Body, Operation, Sequence
from gateway.core.errors import InvalidRequest
from gateway.wire import json_envelope
from gateway.wire.json_envelope import Repeated
from gateway.wire.parameters import (
    MEANINGFUL,
    RESERVED_PREFIX,
    SHARED_MEMORY,
    check,
    refuse_repeated,
    refuse_shared_memory,
    sequence_of,
)

_GENERATE = frozenset({Operation.GENERATE, Operation.GENERATE_STREAM})
_SEQUENCE = ("sequence_id", "sequence_start", "sequence_end")


def read(operation: Operation, body: Body, head_len: int, allow_shared_memory: bool) -> Sequence | None:
    """Check the JSON head of a request, and tell the sequence that it belongs to.

    Args:
        operation: what is asked for; heads other than those of inference are checked for their depth alone.
        body: the uncompressed body.
        head_len: bytes of it that are JSON; 0 is a raw request without any. Generate requests are JSON throughout.
        allow_shared_memory: whether tensors may lie in memory of Triton's host.

    Raises:
        MalformedMessage: it is no JSON.
        InvalidRequest: a parameter is reserved or of the wrong type, a name or key is given twice, or it is too deep.
        Forbidden: a tensor lies in shared memory.
    """
    if operation is Operation.INFER:
        if not head_len:
            return None
        head = body if head_len == len(body) else body[:head_len]
        return _infer(json_envelope.read(head, json_envelope.tensor_data), allow_shared_memory)
    if not body:
        return None
    if operation in _GENERATE:
        return _generate(json_envelope.read(body, json_envelope.long_members))
    json_envelope.check(body)
    return None


def _infer(request: object, allow_shared_memory: bool) -> Sequence | None:
    members = _members(request, "the request")
    if not members:
        return None  # Triton says what it should have been
    parameters = _members(members.get("parameters"), "parameters")
    sequence = _sequence(parameters, "parameters.") if parameters else None
    for place in ("inputs", "outputs"):
        tensors = members.get(place)
        if type(tensors) is list:
            _tensors(tensors, place, allow_shared_memory)
    return sequence


def _tensors(tensors: list[object], place: str, allow_shared_memory: bool) -> None:
    """Refuse a name that is given twice, and shared memory."""
    names = set()
    for index, tensor in enumerate(tensors):
        if type(tensor) is not dict:
            _members(tensor, f"{place}[{index}]")
            continue
        name = tensor.get("name")
        if type(name) is str:
            if name in names:
                refuse_repeated(name, place)
            names.add(name)
        parameters = tensor.get("parameters")
        if parameters:
            for parameter in _members(parameters, f"{place}[{index}].parameters"):
                if not allow_shared_memory and parameter.startswith(SHARED_MEMORY):
                    refuse_shared_memory(f"{place}[{index}].parameters.{parameter}")


def _generate(request: object) -> Sequence | None:
    """Members of such a request are inputs or parameters: the model's configuration decides, so both rules hold."""
    members = _members(request, "the request")
    parameters = _members(members.get("parameters"), "parameters")
    if parameters:
        for name in _SEQUENCE:
            if name in members and name in parameters:
                raise InvalidRequest(f"{name} is given twice, in the request and in its parameters; send it once")
    outer, inner = _checked(members, ""), _checked(parameters, "parameters.")
    return sequence_of(outer | inner)


def _sequence(parameters: dict[str, object], place: str) -> Sequence | None:
    checked = _checked(parameters, place)
    return sequence_of(checked) if checked else None


def _checked(parameters: dict[str, object], place: str) -> dict[str, object]:
    """Those of the parameters that Triton gives a meaning to."""
    found = {}
    for name, value in parameters.items():
        if name in MEANINGFUL or name.startswith(RESERVED_PREFIX):
            check(name, value, place)
            found[name] = value
    return found


def _members(value: object, place: str) -> dict[str, object]:
    """The members of an object; none of what is not one, for Triton to refuse.

    Raises:
        InvalidRequest: a key is given twice.
    """
    if type(value) is dict:
        return value
    if isinstance(value, Repeated):
        raise InvalidRequest(f"{place}: a key is given twice, and parsers differ in which one counts; send it once")
    return {}

"""The model's name in messages of the service, put in another's place without a look at the tensors.

Rules:
- A request may come from any library, in any order of its fields. All of its top-level fields are walked, each skipped
  by its length, because the version may stand anywhere. That there is but one name and one version was checked when the
  request came in (`oip_grpc.py`).
- An answer comes from Triton, whose protobuf library writes fields in the order of their numbers. So a name that stands
  first is the name; where something else stands first, all fields are walked, and every name is replaced.
- The bytes behind are copied once, into the message that results.

Source: grpc_service.proto of the Open Inference Protocol; the wire format of protocol buffers.
"""

from __future__ import annotations

from functools import lru_cache

from gateway.core.call import Body, Operation
from gateway.core.errors import MalformedMessage, UpstreamBroken
from gateway.wire import rename_words
from gateway.wire.protobuf import BYTES, encode_varint, fields, length_delimited, short_varint, unparsable

_REMEMBERED = 1024
_MEMORABLE = 64  # characters of a version
_NAME_AND_VERSION = (0x0A, 0x12)  # tags of fields 1 and 2, both texts
_ERROR_MESSAGE, _INFER_RESPONSE = 1, 2  # of ModelStreamInferResponse

# Where an answer names its model: numbers of fields, from the outermost message inwards.
_IN_FRONT = (1,)
_INFER = Operation.INFER
_PATHS = {
    _INFER: _IN_FRONT,
    Operation.MODEL_METADATA: _IN_FRONT,
    Operation.MODEL_CONFIG: (1, 1),
    Operation.MODEL_STATISTICS: (1, 1),
}

Piece = Body | memoryview


def _head(model: str, version: str) -> bytes:
    """Fields 1 and 2. A version is the client's word, and long ones would cost memory."""
    return _remembered(model, version) if len(version) <= _MEMORABLE else _written(model, version)


def _written(model: str, version: str) -> bytes:
    return length_delimited(1, model.encode()) + (length_delimited(2, version.encode()) if version else b"")


_remembered = lru_cache(_REMEMBERED)(_written)


def request(message: Body, model: str, version: str) -> bytes:
    """`message`, a request whose fields 1 and 2 are model and version, about another model.

    Args:
        message: a protocol buffer in which neither field comes twice.
        model: the model's name.
        version: its version; empty for "the server chooses".

    Raises:
        MalformedMessage: it is no protocol buffer.
    """
    pieces: list[Piece] = [_head(model, version)]
    view = memoryview(message)
    length = len(message)
    kept = position = 0
    try:
        while position < length:
            tag = message[position]
            if tag & 0x87 == BYTES and tag > BYTES:  # nearly all: what `fields` would say, in a fifth of the time
                size, end = message[position + 1], position + 2
                if size >= 0x80:
                    size, end = short_varint(message, position + 1)
                end += size
                if end > length:
                    raise unparsable()
            else:
                _, _, _, end = next(fields(message, position))
            if tag in _NAME_AND_VERSION:
                if kept < position:
                    pieces.append(view[kept:position])
                kept = end
            position = end
    except IndexError:
        raise unparsable() from None
    pieces.append(view[kept:])
    return b"".join(pieces)


def reply_for(operation: Operation, message: Body, model: str) -> Body:
    """`message`, Triton's answer to `operation`, in the name of `model`; as it is if it names none.

    Raises:
        UpstreamBroken: it is no protocol buffer.
    """
    # Hashing a member of an Enum costs as much as the rest.
    path = _IN_FRONT if operation is _INFER else _PATHS.get(operation)
    return message if path is None else _renamed(message, path, model)


def words(message: str, real: str, model: str) -> str:
    """`message`, the status message of Triton's answer, with `model` where it names `real`."""
    return rename_words.rename(message.encode(), real, model).decode() if message else message


def stream_reply(message: Body, model: str, real: str = "") -> Body:
    """`message`, a ModelStreamInferResponse, in the name of `model`.

    Args:
        message: as Triton wrote it.
        model: the name that the client knows.
        real: the name that Triton knows; if given, its words about an error are changed, too.

    Raises:
        UpstreamBroken: it is no protocol buffer.
    """
    try:
        if message[:1] == b"\x12":
            size, begin = short_varint(message, 1)
            if begin + size == len(message) and message[begin : begin + 1] == b"\x0a":
                name_size, name = short_varint(message, begin + 1)
                rest = name + name_size
                if rest <= len(message):
                    head = _head(model, "")
                    length = encode_varint(len(head) + len(message) - rest)
                    return b"".join((b"\x12", length, head, memoryview(message)[rest:]))
        if real:
            message = _with_words(message, real, model)
    except MalformedMessage:
        raise _unreadable() from None
    return _renamed(message, (_INFER_RESPONSE, 1), model)


def _renamed(message: Body, path: tuple[int, ...], model: str) -> Body:
    try:
        if path is _IN_FRONT and message[:1] == b"\x0a":
            size, end = short_varint(message, 1)
            end += size
            if end <= len(message):
                return b"".join((_head(model, ""), memoryview(message)[end:]))
        return b"".join(_pieces(message, 0, len(message), path, _head(model, "")))
    except MalformedMessage:
        raise _unreadable() from None


def _pieces(message: Body, start: int, end: int, path: tuple[int, ...], name: bytes) -> list[Piece]:
    """What the message in `message[start:end]` is made of when the field at `path` is `name`, wherever it stands."""
    view = memoryview(message)
    pieces: list[Piece] = []
    kept = position = start
    for number, kind, begin, after in fields(message, start, end):
        if number == path[0] and kind == BYTES:
            pieces.append(view[kept:position])
            if len(path) == 1:
                pieces.append(name)
            else:
                inner = _pieces(message, begin, after, path[1:], name)
                pieces += (bytes((number << 3 | BYTES,)), encode_varint(sum(map(len, inner))), *inner)
            kept = after
        position = after
    pieces.append(view[kept:end])
    return pieces


def _with_words(message: Body, real: str, model: str) -> bytes:
    """`message` with the model's public name in what it says about an error."""
    view = memoryview(message)
    pieces: list[Piece] = []
    position = 0
    for number, kind, begin, after in fields(message):
        if number == _ERROR_MESSAGE and kind == BYTES:
            words = rename_words.rename(bytes(view[begin:after]), real, model)
            pieces.append(length_delimited(_ERROR_MESSAGE, words))
        else:
            pieces.append(view[position:after])
        position = after
    return b"".join(pieces)


def _unreadable() -> UpstreamBroken:
    return UpstreamBroken("Triton's answer is not the message that was asked for; the request may have been executed")

"""The Open Inference Protocol over gRPC, sans I/O: a message's bytes to what the gateway must know of them.

Rules:
- Messages are never parsed into objects. A scanner walks the top-level fields, skipping each by its length, and reads
  the few strings it needs; tensor bytes are not touched.
- protobuf lets a scalar field come twice and keeps the last one. A scanner that stopped at the first would let a
  client be judged as model A and executed as model B: so all fields are scanned, and one of those that say what the
  request is about, given twice, is refused.

Source: grpc_service.proto of the Open Inference Protocol; the wire format of protocol buffers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gateway.core.call import Operation
from gateway.core.errors import InvalidRequest, MalformedMessage

SERVICE = "inference.GRPCInferenceService"


class Head(NamedTuple):
    """What a request message is about."""

    model: str = ""
    version: str = ""
    request_id: str = ""


class _Method(NamedTuple):
    operation: Operation
    fields: dict[int, str]  # field number -> attribute of Head


_MODEL_FIELDS = {1: "model", 2: "version"}
METHODS: dict[str, _Method] = {
    f"/{SERVICE}/ModelInfer": _Method(Operation.INFER, {**_MODEL_FIELDS, 3: "request_id"}),
    f"/{SERVICE}/ModelConfig": _Method(Operation.MODEL_CONFIG, _MODEL_FIELDS),
    f"/{SERVICE}/ModelMetadata": _Method(Operation.MODEL_METADATA, _MODEL_FIELDS),
    f"/{SERVICE}/ModelReady": _Method(Operation.MODEL_READY, _MODEL_FIELDS),
    f"/{SERVICE}/RepositoryIndex": _Method(Operation.REPOSITORY_INDEX, {}),
    f"/{SERVICE}/ServerLive": _Method(Operation.SERVER_LIVE, {}),
    f"/{SERVICE}/ServerMetadata": _Method(Operation.SERVER_METADATA, {}),
    f"/{SERVICE}/ServerReady": _Method(Operation.SERVER_READY, {}),
}
"""The closed table of methods that are served."""

METHOD_OF = {method.operation: path for path, method in METHODS.items()}

LIVE = b"\x08\x01"
"""A ServerLiveResponse that says yes: field 1, a varint, true."""

# What a client may say to Triton along with its message. `triton-...` keys are Triton's own switches.
_METADATA = frozenset({b"traceparent", b"tracestate"})

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def read_head(path: str, message: bytes) -> Head:
    """What `message`, sent to the method at `path`, is about.

    Raises:
        MalformedMessage: the bytes are not a protocol buffer.
        InvalidRequest: a field that says what the request is about comes twice, or is not UTF-8.
    """
    wanted = METHODS[path].fields
    found: dict[str, str] = {}
    for number, kind, start, end in fields(message):
        name = wanted.get(number)
        if name is None or kind != _BYTES:
            continue
        if name in found:
            raise InvalidRequest(f"field {number} ({name}) is given twice; send it once")
        try:
            found[name] = message[start:end].decode("utf-8")
        except UnicodeDecodeError:
            raise InvalidRequest(f"field {number} ({name}) is not UTF-8 text") from None
    return Head(**found)


def fields(message: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Each top-level field as (number, wire type, start, end of its content), in the order of the message.

    Raises:
        MalformedMessage: the bytes are not a protocol buffer.
    """
    position, length = 0, len(message)
    while position < length:
        tag, position = _varint(message, position)
        number, kind = tag >> 3, tag & 7
        start = position
        if kind == _BYTES:
            size, start = _varint(message, position)
            position = start + size
        elif kind == _VARINT:
            _, position = _varint(message, position)
        elif kind == _FIXED64:
            position += 8
        elif kind == _FIXED32:
            position += 4
        else:  # groups, which the protocol does not use, and the two wire types that do not exist
            raise _unparsable()
        if number == 0 or position > length:
            raise _unparsable()
        yield number, kind, start, position


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """The base-128 number at `position` and where it ends."""
    value = 0
    for count in range(10):
        if position >= len(message):
            break
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value, position
    raise _unparsable()


def _unparsable() -> MalformedMessage:
    return MalformedMessage("Unable to parse request")  # Triton's own words


def request_metadata(metadata: tuple[tuple[bytes, bytes], ...]) -> tuple[tuple[bytes, bytes], ...]:
    """The metadata of a request that goes on to Triton."""
    return tuple([pair for pair in metadata if pair[0] in _METADATA])

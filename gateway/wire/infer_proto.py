"""What a ModelInferRequest may say: checked before Triton sees it, and read for the sequence that it belongs to.

The hot path is one loop over the top-level fields. What is inside of a tensor is looked at only if the words that
matter stand in its bytes; protobuf has no escapes, so a word that is not there is not said.
"""

from __future__ import annotations

from gateway.core.call import Body, Sequence
from gateway.core.errors import InvalidRequest
from gateway.wire.parameters import (
    FINAL_RESPONSE,
    MEANINGFUL,
    RESERVED_PREFIX,
    SHARED_MEMORY,
    check,
    refuse_repeated,
    refuse_shared_memory,
    sequence_of,
)
from gateway.wire.protobuf import BYTES, FIXED64, VARINT, fields, short_varint, unparsable, varint

Span = tuple[int, int]
"""Where the content of a field begins and ends."""

# The tags of the request's fields, each of them with bytes: number << 3 | BYTES.
_MODEL, _VERSION, _ID, _PARAMETERS, _INPUTS, _OUTPUTS = 0x0A, 0x12, 0x1A, 0x22, 0x2A, 0x32
_TEXTS = {_MODEL: "field 1 (model)", _VERSION: "field 2 (version)", _ID: "field 3 (request_id)"}
_SHARED_MEMORY = SHARED_MEMORY.encode()
_NOT_IN_GRPC = "binary_data_output"  # HTTP's own word; in gRPC it is a parameter as any other


def read(message: Body, allow_shared_memory: bool) -> tuple[str, str, str, Sequence | None]:
    """Model, version, request id and sequence of a ModelInferRequest.

    Raises:
        MalformedMessage, InvalidRequest, Forbidden: as `oip_grpc.read_head`.
    """
    texts: dict[int, Span] = {}
    nested: dict[int, list[Span]] = {_PARAMETERS: [], _INPUTS: [], _OUTPUTS: []}
    position, length = 0, len(message)
    while position < length:
        tag = message[position]
        if tag & 0x87 != BYTES:  # a long tag, or no bytes: rare, and nothing that is looked for
            position = _skip(message, position)
            continue
        size, start = short_varint(message, position + 1)
        position = start + size
        if position > length:
            raise unparsable()
        if tag in nested:
            nested[tag].append((start, position))
        elif tag <= _ID:
            if tag not in _TEXTS:
                raise unparsable()
            if tag in texts:
                raise InvalidRequest(f"{_TEXTS[tag]} is given twice; send it once")
            texts[tag] = (start, position)
    parameters, inputs, outputs = nested.values()
    sequence = _sequence(message, parameters) if parameters else None
    if not allow_shared_memory:
        _refuse_shared_memory(message, inputs, "inputs", 4)
        _refuse_shared_memory(message, outputs, "outputs", 2)
    if len(outputs) > 1:
        _refuse_repeated(message, outputs, "outputs")
    model, version, request_id = [text(message, *texts[tag], _TEXTS[tag]) if tag in texts else "" for tag in _TEXTS]
    return model, version, request_id, sequence


def text(message: Body, start: int, end: int, what: str) -> str:
    """The text in `message[start:end]`.

    Raises:
        InvalidRequest: it is not UTF-8.
    """
    try:
        return message[start:end].decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"{what} is not UTF-8 text") from None


def _skip(message: Body, position: int) -> int:
    """Where the one field at `position` ends."""
    for _, _, _, end in fields(message, position):
        return end
    raise unparsable()


def _sequence(message: Body, parameters: list[Span]) -> Sequence | None:
    """Check the request's parameters; of a key given twice, the last one counts, as in protobuf."""
    found: dict[str, object] = {}
    for start, end in parameters:
        key, values = _entry(message, start, end)
        name = key.decode("utf-8", "surrogateescape")
        if (name in MEANINGFUL and name != _NOT_IN_GRPC) or name.startswith(RESERVED_PREFIX):
            found[name] = _value(message, values, name)
    for name, value in found.items():
        if name == FINAL_RESPONSE and isinstance(value, bool):
            continue
        if isinstance(value, int) and -(2**63) <= value < 0 and name == "sequence_id":
            found[name] = value % 2**64  # as Triton takes it
            continue
        check(name, value, "parameters.")
    return sequence_of(found) if found else None


def _refuse_shared_memory(message: Body, tensors: list[Span], place: str, number: int) -> None:
    """Look into the tensors that have the word in them; field `number` of a tensor is its parameters."""
    for index, (start, end) in enumerate(tensors):
        if message.find(_SHARED_MEMORY, start, end) < 0:
            continue
        for field, kind, begin, stop in fields(message, start, end):
            if field == number and kind == BYTES:
                key, _ = _entry(message, begin, stop)
                if key.startswith(_SHARED_MEMORY):
                    refuse_shared_memory(f"{place}[{index}].parameters.{key.decode('utf-8', 'replace')}")


def _refuse_repeated(message: Body, tensors: list[Span], place: str) -> None:
    """Two outputs of one name; of inputs, Triton says it itself."""
    names = set()
    for start, end in tensors:
        name = b""
        for field, kind, begin, stop in fields(message, start, end):
            if field == 1 and kind == BYTES:
                name = bytes(message[begin:stop])
        if name in names:
            refuse_repeated(name.decode("utf-8", "replace"), place)
        names.add(name)


def _entry(message: Body, start: int, end: int) -> tuple[bytes, list[Span]]:
    """An entry of a map: its key, and where its values are (protobuf merges them, should there be several)."""
    key, values = b"", []
    for number, kind, begin, stop in fields(message, start, end):
        if kind == BYTES and number == 1:
            key = bytes(message[begin:stop])
        elif kind == BYTES and number == 2:
            values.append((begin, stop))
    return key, values


def _value(message: Body, values: list[Span], name: str) -> object:
    """What an InferParameter holds: of its one-of, the last one that is set."""
    held: object = None
    for start, end in values:
        for number, kind, begin, stop in fields(message, start, end):
            if kind == VARINT and number in {1, 2, 5}:
                bits = varint(message, begin)[0] % 2**64
                held = bits != 0 if number == 1 else bits - 2**64 if number == 2 and bits >> 63 else bits
            elif kind == BYTES and number == 3:
                held = text(message, begin, stop, f"parameters.{name}")
            elif kind == FIXED64 and number == 4:
                held = 0.5  # no parameter that means something is a fraction
    return held

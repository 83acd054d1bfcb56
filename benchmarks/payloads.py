"""Inference requests and replies as bytes: JSON, the binary tensor extension, and gRPC messages."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from gateway.wire.protobuf import encode_varint, length_delimited

Array = np.ndarray[Any, Any]
Kind = Literal["json", "binary", "grpc"]
KINDS: tuple[Kind, ...] = ("json", "binary", "grpc")
GRPC_PATH = "/inference.GRPCInferenceService/ModelInfer"
NULL_HEAD_BYTES = 192  # of the JSON head of a canned binary reply, padded, so that one header fits every size

_DATATYPES = {"float32": "FP32", "int32": "INT32", "int64": "INT64", "uint8": "UINT8"}


@dataclass(frozen=True, slots=True)
class Message:
    """One request or reply as it is sent.

    Attributes:
        kind: how it is encoded.
        body: the HTTP body, or the gRPC message without its 5-byte prefix.
        head_len: length in bytes of the JSON head of a binary body; 0 otherwise.
    """

    kind: Kind
    body: bytes
    head_len: int = 0

    @property
    def headers(self) -> dict[str, str]:
        """The HTTP headers that go with it."""
        if self.kind == "grpc":
            return {"content-type": "application/grpc", "te": "trailers"}
        if self.kind == "json":
            return {"content-type": "application/json"}
        return {"content-type": "application/octet-stream", "inference-header-content-length": str(self.head_len)}

    @property
    def wire(self) -> bytes:
        """What a load tool sends as the body: a gRPC message gets its prefix (not compressed, length)."""
        return b"\0" + len(self.body).to_bytes(4, "big") + self.body if self.kind == "grpc" else self.body


def request(kind: Kind, model: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Message:
    """An inference request.

    Args:
        kind: how it is encoded; a binary request asks for binary outputs.
        model: the model's name; only gRPC requests carry it.
        inputs: each input's name and tensor.
        outputs: the outputs that are asked for.
    """
    if kind == "grpc":
        return Message(kind, _grpc_request(model, inputs, outputs))
    parameters = {"parameters": {"binary_data": True}} if kind == "binary" else {}
    tail = {"outputs": [{"name": name, **parameters} for name in outputs]} if kind == "binary" else {}
    if kind == "json":
        return Message(kind, _compact({"inputs": [_json_tensor(*i) for i in inputs.items()]}))
    head = _compact({"inputs": [_binary_tensor(*i) for i in inputs.items()], **tail})
    return Message(kind, head + b"".join(a.tobytes() for a in inputs.values()), len(head))


def reply(kind: Kind, model: str, outputs: Mapping[str, Array]) -> Message:
    """A reply such as Triton's, for an upstream that answers everything with the same bytes."""
    if kind == "grpc":
        tensors = b"".join(length_delimited(5, _grpc_tensor(*o)) for o in outputs.items())
        raw = b"".join(length_delimited(6, a.tobytes()) for a in outputs.values())
        return Message(kind, length_delimited(1, model.encode()) + length_delimited(2, b"1") + tensors + raw)
    encode = _json_tensor if kind == "json" else _binary_tensor
    named = {"model_name": model, "model_version": "1", "outputs": [encode(*o) for o in outputs.items()]}
    if kind == "json":
        return Message(kind, _compact(named))
    head = _compact(named).ljust(NULL_HEAD_BYTES)
    return Message(kind, head + b"".join(a.tobytes() for a in outputs.values()), len(head))


def identity_request(kind: Kind, size: int) -> Message:
    """A request to the identity model whose body has `size` bytes, or as few more as its head needs."""
    return _sized(lambda data: request(kind, "identity", {"IN": data}, ["OUT"]), size)


def identity_reply(kind: Kind, size: int) -> Message:
    """What the identity model answers to `identity_request`, but for white space."""
    asked = _elements(lambda data: request(kind, "identity", {"IN": data}, ["OUT"]), size)
    return reply(kind, "identity", {"OUT": asked})


def _sized(build: Callable[[Array], Message], size: int) -> Message:
    return build(_elements(build, size))


def _elements(build: Callable[[Array], Message], size: int) -> Array:
    """As many elements as make the body `size` bytes long."""
    count = 1
    for _ in range(6):  # the count's own digits take room too, so approach it
        body = build(np.full(count, 7, np.uint8))
        each = 2 if body.kind == "json" else 1
        count = max(1, count + (size - len(body.body)) // each)
    return np.full(count, 7, np.uint8)


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _json_tensor(name: str, array: Array) -> dict[str, Any]:
    return {"name": name, "shape": array.shape, "datatype": datatype(array), "data": array.ravel().tolist()}


def _binary_tensor(name: str, array: Array) -> dict[str, Any]:
    sized = {"binary_data_size": array.nbytes}
    return {"name": name, "shape": array.shape, "datatype": datatype(array), "parameters": sized}


def datatype(array: Array) -> str:
    """The protocol's name of an array's element type."""
    return _DATATYPES[array.dtype.name]


def _grpc_request(model: str, inputs: Mapping[str, Array], outputs: Sequence[str]) -> bytes:
    tensors = b"".join(length_delimited(5, _grpc_tensor(*i)) for i in inputs.items())
    wanted = b"".join(length_delimited(6, length_delimited(1, name.encode())) for name in outputs)
    raw = b"".join(length_delimited(7, array.tobytes()) for array in inputs.values())
    return length_delimited(1, model.encode()) + tensors + wanted + raw


def _grpc_tensor(name: str, array: Array) -> bytes:
    shape = b"".join(encode_varint(d) for d in array.shape)
    return (
        length_delimited(1, name.encode()) + length_delimited(2, datatype(array).encode()) + length_delimited(3, shape)
    )

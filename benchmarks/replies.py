"""Read inference replies back into arrays, to see whether a server's answer is right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.payloads import Array, Kind
from gateway.core.errors import MalformedMessage
from gateway.wire.protobuf import BYTES, fields

_TYPES: dict[str, Any] = {"FP32": np.float32, "INT32": np.int32, "UINT8": np.uint8}


class ReplyError(Exception):
    """A reply cannot be read."""


def arrays(kind: Kind, body: bytes) -> dict[str, Array]:
    """Each output's name and elements, flat.

    Raises:
        ReplyError: the body is not a reply of this kind.
    """
    try:
        return _grpc(body) if kind == "grpc" else _http(body)
    except (ValueError, KeyError, IndexError, TypeError, MalformedMessage) as error:
        raise ReplyError(f"not a {kind} reply: {error!r}: {body[:120]!r}") from None


def _http(body: bytes) -> dict[str, Array]:
    """JSON, with the binary tensors that may follow it."""
    head, end = json.JSONDecoder().raw_decode(body.decode("latin-1"))
    sizes = [(o.get("parameters") or {}).get("binary_data_size", 0) for o in head["outputs"]]
    start = len(body) - sum(sizes)
    if start < end:
        raise ValueError("fewer bytes than its head says")
    found = {}
    for output, size in zip(head["outputs"], sizes, strict=True):
        dtype = _TYPES[output["datatype"]]
        if size:
            found[output["name"]] = np.frombuffer(body, dtype, size // np.dtype(dtype).itemsize, start)
            start += size
        else:
            found[output["name"]] = np.array(output["data"], dtype).ravel()
    return found


def _grpc(body: bytes) -> dict[str, Array]:
    """A ModelInferResponse: outputs are field 5, raw contents field 6, FP32 contents field 6 of an output's field 5."""
    names, typed, raw = [], [], []
    for number, value in _contents(body):
        if number == 6:
            raw.append(np.frombuffer(value, np.float32))
        elif number == 5:
            inner = list(_contents(value))
            names.append(next(v for n, v in inner if n == 1).decode())
            contents = next((v for n, v in inner if n == 5), b"")
            typed.append(np.frombuffer(b"".join(v for n, v in _contents(contents) if n == 6), np.float32))
    return dict(zip(names, raw or typed, strict=True))


def _contents(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The length-delimited fields of a protobuf message, by number."""
    return ((number, message[start:end]) for number, kind, start, end in fields(message) if kind == BYTES)

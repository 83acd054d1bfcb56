"""One inference as a trial: the protocol's JSON inputs as an HTTP request, and how many outputs the answer has.

FP16 and BF16 never travel as JSON, so inputs of these go as bytes behind the head, and all outputs come so.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_HEAD_LENGTH = "inference-header-content-length"


def request(inputs: Sequence[Mapping[str, Any]], *, sequence: bool = False) -> tuple[bytes, Mapping[str, str]]:
    """The body and the headers of an inference.

    Args:
        inputs: each with `name`, `datatype`, `shape` and `data`.
        sequence: whether it is one request that is a whole sequence.
    """
    blobs = [_blob(each) for each in inputs]
    heads = [dict(each) if blob is None else _head(each, blob) for each, blob in zip(inputs, blobs, strict=True)]
    parameters: dict[str, Any] = {"binary_data_output": True}
    if sequence:
        parameters |= {"sequence_id": 1, "sequence_start": True, "sequence_end": True}
    head = json.dumps({"inputs": heads, "parameters": parameters}).encode()
    tail = b"".join(blob for blob in blobs if blob is not None)
    return head + tail, {_HEAD_LENGTH: str(len(head)), "content-type": "application/octet-stream"}


def outputs_of(body: bytes, headers: Mapping[str, str]) -> int:
    """How many outputs an answer has."""
    length = int(headers.get(_HEAD_LENGTH, len(body)))
    return len(json.loads(body[:length]).get("outputs", ()))


def error_of(body: bytes) -> str:
    """What Triton says went wrong."""
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body.decode("utf-8", "replace") or "it answered nothing"


def _head(tensor: Mapping[str, Any], blob: bytes) -> dict[str, Any]:
    kept = {key: value for key, value in tensor.items() if key != "data"}
    return {**kept, "parameters": {"binary_data_size": len(blob)}}


def _blob(tensor: Mapping[str, Any]) -> bytes | None:
    """The data as bytes, where they cannot travel as JSON."""
    if tensor.get("datatype") not in ("FP16", "BF16"):
        return None
    values = list(_flat(tensor["data"]))
    if tensor["datatype"] == "FP16":
        return struct.pack(f"<{len(values)}e", *values)
    return b"".join(struct.pack("<f", value)[2:] for value in values)  # the upper half of a float


def _flat(data: Any) -> Iterator[float]:
    if isinstance(data, list | tuple):
        for each in data:
            yield from _flat(each)
    else:
        yield float(data)

"""Requests as the gateway would record them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from converters.arrays import Array


def record(path: Path, body: bytes, *, model: str = "ocr", **head: Any) -> Path:
    """Write one recorded request."""
    line = {"format": 1, "model": model, "version": "", "datetime": "2026-01-31T12:00:00Z", "length": len(body)}
    path.write_bytes(json.dumps(line | head).encode() + b"\n" + body)
    return path


def http_body(inputs: list[dict[str, Any]], *blobs: bytes) -> tuple[bytes, int]:
    """A body, and the length of its JSON head."""
    head = json.dumps({"inputs": inputs}).encode()
    return head + b"".join(blobs), len(head)


def binary(name: str, datatype: str, array: Array) -> tuple[dict[str, Any], bytes]:
    """An input that travels in binary: its entry in the head, and its bytes."""
    content = bytes_of(array.tolist()) if datatype == "BYTES" else np.ascontiguousarray(array).tobytes()
    parameters = {"binary_data_size": len(content)}
    return {"name": name, "datatype": datatype, "shape": list(array.shape), "parameters": parameters}, content


def bytes_of(elements: list[bytes]) -> bytes:
    """BYTES as they travel: each element with its length before it."""
    return b"".join(len(element).to_bytes(4, "little") + element for element in elements)

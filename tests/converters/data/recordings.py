"""Requests as the gateway would record them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from converters.arrays import Array, datatype_of

ARRIVED = 17_698_608_001_234_567_890_004_711


def record(folder: Path, *requests: dict[str, Array], model: str = "ocr", number: int = ARRIVED, **more: Any) -> Path:
    """Write a segment with requests of these inputs; gives the file of its lines."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, Array] = {}
    lines = []
    for n, inputs in enumerate(requests):
        listed = []
        for name, array in inputs.items():
            datatype = datatype_of(array)
            tensors[f"{n}/in/{name}"] = np.frombuffer(bytes_of(array), np.uint8) if datatype == "BYTES" else array
            listed.append({"name": name, "datatype": datatype, "shape": list(array.shape)})
        lines.append(json.dumps({"format": 1, "n": n, "model": model, "inputs": listed} | more))
    path = folder / f"{number}-{len(requests)}.jsonl"
    save_file(tensors, path.with_suffix(".safetensors"))
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def bytes_of(array: Array) -> bytes:
    """BYTES as they are stored: each element with its length before it."""
    return b"".join(len(element).to_bytes(4, "little") + element for element in array.flat)

"""What `triton-convert` notes beside the files that it makes, and what engines say of themselves; plain data."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gateway.repository.kinds.plan import compute_capabilities

FILE_NAME = "engine.json"
_LARGEST = 1 << 20
_MEASURES = ("cosine", "top1")


def origin(version: Path) -> dict[str, str]:
    """Where a version comes from, and how good it is; nothing where no record of this kind lies in its folder."""
    record = next(_records(version), {})
    source, precision = record.get("source"), record.get("precision")
    if not isinstance(source, dict) or not isinstance(precision, str):
        return {}
    number = f" version {source['version']}" if isinstance(source.get("version"), int) else ""
    return {"made from": f"{source.get('name')}{number}", "precision": precision, **_worst(record.get("gate"))}


def needed_gpu(version: Path) -> str:
    """On which GPU a version's engines run, such as "an NVIDIA GPU (sm_86 or sm_89)"."""
    told = {each for record in _records(version) for each in record.get("compute_capabilities") or ()}
    known = {each for each in told if isinstance(each, int)} or {
        each for plan in sorted(version.glob("*.plan")) for each in compute_capabilities(plan)
    }
    names = " or ".join(f"sm_{each}" for each in sorted(known))
    return f"an NVIDIA GPU ({names})" if names else "an NVIDIA GPU"


def _records(version: Path) -> Iterator[Mapping[str, Any]]:
    try:
        with (version / FILE_NAME).open("rb") as file:
            told = json.loads(file.read(_LARGEST))
    except (OSError, ValueError):
        return
    files = told.get("files") if isinstance(told, dict) else None
    yield from (each for each in files or () if isinstance(each, dict)) if isinstance(files, list) else ()


def _worst(gate: Any) -> dict[str, str]:
    """The lowest of what the gate has measured of any output."""
    outputs = gate.get("outputs") if isinstance(gate, dict) else None
    rows = [each for each in outputs if isinstance(each, dict)] if isinstance(outputs, list) else []
    found = {
        name: [row[name] for row in rows if isinstance(row.get(name), int | float) and math.isfinite(row[name])]
        for name in _MEASURES
    }
    return {name: f"{min(values):.4f}" for name, values in found.items() if values}

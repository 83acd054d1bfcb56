"""Results as a build hands them over, with contents that are no models."""

from __future__ import annotations

import hashlib
from typing import Any

from converters.engines.record import EngineRecord, Lineage
from converters.publish.config_pbtxt import signed
from converters.publish.folder import Content

LINEAGE = Lineage(name="speech", version=1, kind="onnx", sha256="0" * 64, opset=17)


def record(data: bytes, file: str = "model.onnx", **other: Any) -> EngineRecord:
    return EngineRecord(
        **{
            "file": file,
            "sha256": hashlib.sha256(data).hexdigest(),
            "size_bytes": len(data),
            "format": "plan" if file.endswith(".plan") else "onnx",
            "builder": "onnxruntime",
            "builder_version": "1.31.1",
            "precision": "int8",
            "source": LINEAGE,
            "onnx_sha256": "1" * 64,
            "built_at": "2026-11-21T12:00:00+00:00",
            "seconds": 1.0,
            "converters_version": "0.1.0",
            **other,
        }
    )


def content(data: bytes, config: str = 'name: "m"\n', file: str = "model.onnx", **other: Any) -> Content:
    """One file with its record and a configuration as it is generated."""
    return Content({file: data}, (record(data, file, **other),), signed(config))

"""`engine.json`: what lies beside every result, so that nobody has to guess where it came from and how good it is."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from converters.engines.base import BuildOptions, Profile
from converters.graph.files import write

FILE_NAME = "engine.json"
SCHEMA = 1
_APART = ("profiles", "compute_capabilities")


@dataclass(frozen=True, slots=True)
class Lineage:
    """The model that a result was made from.

    Attributes:
        name: the model's folder in the repository, or its file.
        version: of the repository's model; None for a file outside of one.
        kind: "savedmodel", "onnx", "torchscript", ...
        sha256: over the source's files.
        opset: of the ONNX that it became.
    """

    name: str
    version: int | None
    kind: str
    sha256: str
    opset: int


@dataclass(frozen=True, slots=True)
class EngineRecord:
    """What `engine.json` says. Plain values throughout.

    Attributes:
        file: the result's file name, such as "model.plan" or "model.onnx".
        sha256, size_bytes: of that file; the size with its external data, if it has any.
        format: "plan" or "onnx".
        builder, builder_version: what wrote it: "tensorrt", "tensorrt_rtx", or "onnxruntime" for quantised ONNX.
        compute_capabilities: a plan's targets; empty for ONNX.
        precision: "fp32", "fp16", "bf16", "int8" or "fp8".
        kept_fp32: nodes that were kept in FP32 because they lose accuracy.
        profiles: each input's min, opt and max shape, one mapping a profile.
        options: further build options that were not left at their defaults.
        source: where it comes from.
        onnx_sha256: of the typed ONNX that the engine was built from.
        calibration: `origin`, `sha256` and `batches` of the data, nodes left `unquantised`, and how ranges were found
            (`method`, ...); empty if the precision needs none.
        gate: the verdict as plain values, with `ran` ("engine" or "onnx") telling what was run; empty without a gate.
        built_at: ISO 8601 in UTC.
        seconds: that building took.
        converters_version: of this package.
    """

    file: str
    sha256: str
    size_bytes: int
    format: str
    builder: str
    builder_version: str
    precision: str
    source: Lineage
    onnx_sha256: str
    built_at: str
    seconds: float
    converters_version: str
    compute_capabilities: tuple[int, ...] = ()
    kept_fp32: tuple[str, ...] = ()
    profiles: tuple[dict[str, Any], ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    calibration: dict[str, Any] = field(default_factory=dict)
    gate: dict[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA


def as_json(records: tuple[EngineRecord, ...]) -> str:
    """The text of `engine.json`: one record for each plan or model beside it."""
    told = {"schema": SCHEMA, "files": [_finite(asdict(record)) for record in records]}
    return json.dumps(told, indent=2, allow_nan=False) + "\n"


def read(folder: Path) -> tuple[EngineRecord, ...]:
    """The records in a version's folder; empty where there is no `engine.json` or none of this schema."""
    try:
        told = json.loads((folder / FILE_NAME).read_text("utf-8"))
        return tuple(_record(entry) for entry in told["files"]) if told.get("schema") == SCHEMA else ()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ()


def plain_profiles(profiles: tuple[Profile, ...]) -> tuple[dict[str, Any], ...]:
    """Profiles as a record has them."""
    return tuple({name: asdict(allowed) for name, allowed in profile.items()} for profile in profiles)


def plain_options(options: BuildOptions) -> dict[str, Any]:
    """The options that are not left at their defaults, without those that a record has in fields of their own."""
    defaults = BuildOptions()
    changed = {
        each.name: getattr(options, each.name)
        for each in fields(options)
        if each.name not in _APART and getattr(options, each.name) != getattr(defaults, each.name)
    }
    return {name: str(value) if isinstance(value, Path) else value for name, value in changed.items()}


def put(folder: Path, record: EngineRecord) -> None:
    """Add a record to a folder's `engine.json`, in the place of the one of the same file if there is one.

    Raises:
        OutOfResources, ConversionError: it cannot be written.
    """
    others = (each for each in read(folder) if each.file != record.file)
    write(as_json((*others, record)).encode(), folder / FILE_NAME)


def _finite(value: Any) -> Any:
    """JSON has no infinity and no NaN, which errors relative to zero can be: they become words."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


def _record(entry: dict[str, Any]) -> EngineRecord:
    lists = {key: tuple(entry[key]) for key in ("compute_capabilities", "kept_fp32", "profiles")}
    return EngineRecord(**{**entry, **lists, "source": Lineage(**entry["source"])})

import io
from typing import Any

import pytest
from rich.console import Console, RenderableType

from gateway.commands import tables
from gateway.repository.catalog import Entry, entry
from gateway.repository.description import Check, Description, Tensor
from gateway.repository.record import FileRecord, ModelRecord, VersionRecord

ABOUT = Description(
    "onnx",
    "onnxruntime",
    "onnx",
    (Tensor("image", "FP32", (-1, 3, 224, 224)), Tensor("mask", "BOOL", (), optional=True)),
    (Tensor("scores", "FP32", (-1, 10), labels="labels.txt"),),
    True,
    "model.onnx",
    2_500_000,
    "ai.onnx 17",
    ambiguous=("whether [batch] is a batch",),
    origin={"producer": "pytorch 2"},
)
READY = {"state": "ready", "sites": {"gpu-1": {"state": "ready", "versions": [2], "memory_mib": 67.2, "reason": ""}}}


def shown(renderable: RenderableType, width: int = 80) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(renderable)
    assert max(map(len, out.getvalue().splitlines())) <= width
    return out.getvalue()


def fraud(live: dict[str, Any], reason: str = "") -> Entry:
    files = {"model.onnx": FileRecord("ab", 2_500_000, 1, 1)}
    checks = ({"name": "load", "detail": "in [0.1] s", "seconds": 0.1},)
    first = VersionRecord(1, "retired", "2026-01-01T10:00:00+00:00", "fraud.onnx", files=files, reason=reason)
    second = VersionRecord(2, "kept", "2026-02-01T10:00:00+00:00", "", "", files, ABOUT.as_dict(), checks)
    return entry("fraud", ModelRecord("fraud", {1: first, 2: second}, 2), live)


def test_models_are_rows_with_their_reasons_below() -> None:
    failed = Entry("digits", "failed", "no memory [on] the GPU, " * 6)
    text = shown(tables.models([fraud(READY), failed]))
    assert "fraud" in text
    assert "5.0 MB" in text
    assert "digits: no memory [on] the GPU" in text


def test_a_step_is_shown_where_there_is_no_reason() -> None:
    assert "fraud: loading the model" in shown(tables.models([Entry("fraud", "preparing", step="loading the model")]))


def test_versions_have_a_column_of_reasons_only_where_there_are_some() -> None:
    text = shown(tables.versions(fraud(READY)))
    assert "reason" not in text
    assert "2026-02-01 10:00:00" in text
    assert "found in place" in text
    assert "rolled back" in shown(tables.versions(fraud(READY, "rolled back")))


def test_a_model_is_shown_with_all_that_is_known() -> None:
    text = shown(tables.model(fraud(READY)), 100)
    for words in (
        "any x 3 x 224 x 224",
        "one value",
        "optional",
        "labels.txt",
        "ai.onnx 17",
        "producer pytorch 2",
        "! whether [batch] is a batch",
        "✓ load",
        "in [0.1] s",
        "gpu-1",
        "67 MiB",
    ):
        assert words in text


def test_a_model_that_nobody_knows_is_shown_all_the_same() -> None:
    assert "digits" in shown(tables.model(Entry("digits")))


@pytest.mark.parametrize(
    ("count", "text"), [(0, ""), (900, "0.9 kB"), (12_000_000, "12.0 MB"), (3_400_000_000, "3.4 GB")]
)
def test_sizes_are_told_in_decimal_units(count: int, text: str) -> None:
    assert tables.size(count) == text


def test_checks_tell_what_was_found() -> None:
    assert "equal" in shown(tables.checks([Check("same answer", "equal", 0.25)]))

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.repository.engine_files import needed_gpu, origin

RECORD: dict[str, Any] = {
    "file": "model.plan",
    "precision": "int8",
    "source": {"name": "basic_pitch", "version": 1, "kind": "savedmodel"},
    "compute_capabilities": [86, 89],
    "gate": {"outputs": [{"name": "note", "cosine": 0.99934, "top1": None}, {"name": "onset", "cosine": 0.99991}]},
}


def noted(folder: Path, *records: object) -> Path:
    (folder / "engine.json").write_text(json.dumps({"schema": 1, "files": records}))
    return folder


def test_where_a_version_comes_from_and_how_good_it_is(tmp_path: Path) -> None:
    assert origin(noted(tmp_path, RECORD)) == {
        "made from": "basic_pitch version 1",
        "precision": "int8",
        "cosine": "0.9993",
    }
    outside = {**RECORD, "source": {"name": "net.onnx", "version": None}, "gate": {}}
    assert origin(noted(tmp_path, outside)) == {"made from": "net.onnx", "precision": "int8"}


def test_the_gpus_of_all_plans(tmp_path: Path) -> None:
    assert needed_gpu(tmp_path) == "an NVIDIA GPU"
    head = bytes.fromhex("76747274000000000200000000000000300000000000000001070174767472740c00000000000000")
    (tmp_path / "model.plan").write_bytes(head)
    assert needed_gpu(tmp_path) == "an NVIDIA GPU (sm_86 or sm_89)"
    assert needed_gpu(noted(tmp_path, {**RECORD, "compute_capabilities": [90]})) == "an NVIDIA GPU (sm_90)"


@pytest.mark.parametrize("text", ["", "[]", '{"files": 3}', '{"files": [3]}', '{"files": [{"source": 1, "gate": []}]}'])
def test_what_cannot_be_understood_is_passed_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "engine.json").write_text(text)
    assert origin(tmp_path) == {}
    assert needed_gpu(tmp_path) == "an NVIDIA GPU"

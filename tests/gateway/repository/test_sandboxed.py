"""The process of the sandbox by its own protocol; what it does with models is tested through `sandbox.prepare`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from gateway.repository.confine import Limits
from gateway.repository.description import Hints
from gateway.repository.hardware import Hardware
from gateway.repository.sandbox_messages import Request
from tests.gateway.repository.dropped import onnx_model, python_model

ROOT = Path(__file__).resolve().parents[3]


def answers(source: Path, step: str = "prepare", existing: str | None = None) -> list[dict[str, Any]]:
    scratch = source.parent / "scratch"
    scratch.mkdir()
    request = Request(
        source, "m", scratch, (source,), Hints(), Limits(2048, 60, 64), Hardware(2, 0), existing=existing, step=step
    )
    result = subprocess.run(
        [sys.executable, "-m", "gateway.repository.sandboxed"],
        input=request.as_json() + "\n",
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_progress_comes_first_and_the_model_last(tmp_path: Path) -> None:
    *progress, last = answers(onnx_model(tmp_path / "my.onnx", "Abs"))
    assert [each["progress"] for each in progress] == ["reading the model (ONNX)", "writing its configuration"]
    assert last["prepared"]["description"]["backend"] == "onnxruntime"
    assert last["prepared"]["sample"][0]["name"] == "x"


def test_what_a_model_prints_is_no_answer(tmp_path: Path) -> None:
    model = python_model(tmp_path / "talker", initialize='print(\'{"refused": "no"}\', flush=True)')
    assert "prepared" in answers(model, "validate")[-1]


def test_a_refusal_is_the_last_line(tmp_path: Path) -> None:
    (tmp_path / "notes.onnx").write_text("no model", encoding="utf-8")
    assert "refused" in answers(tmp_path / "notes.onnx")[-1]


def test_what_is_inside_an_mlflow_model_is_served_with_where_it_came_from(tmp_path: Path) -> None:
    folder = tmp_path / "logged"
    folder.mkdir()
    onnx_model(folder / "model.onnx", "Abs")
    (folder / "MLmodel").write_text(
        "flavors:\n  onnx:\n    data: model.onnx\n    onnx_version: 1.18.0\nrun_id: abc123\n", encoding="utf-8"
    )
    prepared = answers(folder)[-1]["prepared"]
    assert prepared["description"]["kind"] == "onnx"
    assert prepared["description"]["origin"]["run_id"] == "abc123"


def test_a_pickle_in_a_folder_is_refused(tmp_path: Path) -> None:
    folder = python_model(tmp_path / "careless")
    (folder / "weights.pkl").write_bytes(b"\x80\x04N.")
    assert "pickle" in answers(folder)[-1]["refused"]


def test_hand_written_values_are_kept(tmp_path: Path) -> None:
    answers(onnx_model(tmp_path / "my.onnx", "Abs"), existing="max_batch_size: 5\n")
    text = (tmp_path / "scratch" / "model" / "config.pbtxt").read_text(encoding="utf-8")
    assert text.startswith("max_batch_size: 5\n")


def test_the_request_for_warming_up_is_the_sample_that_the_model_ran_on(tmp_path: Path) -> None:
    answers(onnx_model(tmp_path / "my.onnx", "Abs"), "validate")
    assert "model_warmup" in (tmp_path / "scratch" / "model" / "config.pbtxt").read_text(encoding="utf-8")

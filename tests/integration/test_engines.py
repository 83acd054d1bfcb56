"""`make engines` for real: every declared model through real frameworks, quantisers and TensorRT for RTX."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import onnxruntime
import pytest
import yaml
from rich.console import Console

from converters.engines.record import read
from converters.engines.validity import inspect
from examples.engines import pitch
from gateway.repository.samples import fetch_samples

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "configs/engines.yaml"
# What the ONNX that the authors ship calls what the SavedModel calls so.
OUTPUTS = {
    "contour": "StatefulPartitionedCall:0",
    "note": "StatefulPartitionedCall:1",
    "onset": "StatefulPartitionedCall:2",
}

tensorrt_rtx = pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX has no wheel for this platform")


def build(output: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    settings = ("--set", f"output={output}", "--set", f"repository={output}/repository")
    command = [sys.executable, "-c", "from converters.cli import main; main()", "build", "--config", str(CONFIG)]
    return subprocess.run([*command, *settings, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make engines` leaves."""
    fetch_samples(ROOT / "model_repository", ["onnx", "tensorflow"], Console(quiet=True), sources=True)
    folder = tmp_path_factory.mktemp("engines")
    done = build(folder)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    return folder


@pytest.fixture(scope="module")
def results(output: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((output / "results.json").read_text("utf-8"))
    return told


def test_every_declared_result_is_built_judged_and_published(output: Path, results: dict[str, Any]) -> None:
    declared = yaml.safe_load(CONFIG.read_text("utf-8"))
    assert results["passed"]
    for model in results["models"]:
        section = declared["models"][model["name"]]
        assert model["verdict"]["passed"]
        assert [variant["name"] for variant in model["variants"]] == list(section["variants"])
        for variant in model["variants"]:
            assert variant["verdict"]["passed"]
            wanted = section["variants"][variant["name"]].get("targets", section["targets"])
            assert {built["target"] for built in variant["built"]} == set(wanted)
            for built in variant["built"]:
                name, _, version = built["published"].rpartition("/")
                assert (output / "repository" / name / version / "engine.json").is_file()


def test_every_engine_is_for_all_four_gpus_and_whole(output: Path) -> None:
    plans = list((output / "repository").glob("*/1/model.plan"))
    assert len(plans) == 11
    for plan in plans:
        header = inspect(plan.read_bytes())
        assert (header.builder, header.compute_capabilities) == ("tensorrt_rtx", (75, 86, 89, 120))
        (record,) = read(plan.parent)
        assert record.compute_capabilities == (75, 86, 89, 120)
        assert record.gate["passed"]
        assert record.gate["ran"] in ("onnx", "engine")


def test_the_saved_model_is_the_same_as_onnx(results: dict[str, Any]) -> None:
    model = next(model for model in results["models"] if model["name"] == "basic_pitch")
    assert model["kind"] == "savedmodel"
    assert max(output["max_abs"] for output in model["verdict"]["outputs"]) < 1e-4


def test_the_onnx_is_the_same_as_the_one_that_its_authors_ship(output: Path) -> None:
    entries = (output / "cache/onnx").glob("*/entry.json")
    ours = next(path.parent for path in entries if json.loads(path.read_text())["made_from"]["kind"] == "savedmodel")
    theirs = ROOT / "model_repository/basic_pitch_onnx/1/model.onnx"
    batch = next(iter(pitch.verification()))
    (audio,) = batch.values()
    found = dict(zip(OUTPUTS, answers(ours / "model.onnx", audio, list(OUTPUTS)), strict=True))
    shipped = dict(zip(OUTPUTS, answers(theirs, audio, list(OUTPUTS.values())), strict=True))
    for name, array in found.items():
        np.testing.assert_allclose(array, shipped[name], rtol=0, atol=1e-4, err_msg=name)


def answers(model: Path, audio: np.ndarray[Any, Any], outputs: list[str]) -> list[np.ndarray[Any, Any]]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    found: list[np.ndarray[Any, Any]] = session.run(outputs, {session.get_inputs()[0].name: audio})
    return found


def test_int8_is_measured_against_fp32_on_this_cpu(results: dict[str, Any]) -> None:
    for model in results["models"]:
        for variant in model["variants"]:
            for built in variant["built"]:
                if variant["precision"] == "int8" and built["builder"] == "onnxruntime":
                    latency = built["latency"] or variant["latency"]
                    assert latency["before_ms"] > 0
                    assert latency["after_ms"] > 0


def test_reports_tell_what_was_not_run(output: Path) -> None:
    assert "built and checked, not run" in (output / "report.md").read_text("utf-8")
    assert "<svg" in (output / "report.html").read_text("utf-8")
    suites = ElementTree.parse(output / "junit.xml").getroot()  # noqa: S314 - our own
    assert suites.get("failures") == suites.get("errors") == "0"


def test_an_unchanged_model_is_not_built_again(output: Path) -> None:
    done = build(output, "--model", "text_classifier")
    assert done.returncode == 0
    assert "3 results (3 known already)" in done.stdout

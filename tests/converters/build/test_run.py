"""Builds with real worker processes, on their own and interrupted."""

from __future__ import annotations

import fcntl
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from converters.build.cache import ENTRY
from converters.build.config import EnginesConfig, load
from converters.build.results import BuildResult
from converters.build.run import Order, build
from converters.errors import ConfigError, ConversionError
from tests.converters.build.building import configuration, write_inputs

ROOT = Path(__file__).parents[3]
FP16 = {"fp16": {"precision": "fp16"}}
# Waits in the calibration for as long as there is no file `go`; by then "to ONNX" is done.
WAITING = """
import threading, pathlib
import numpy as np


def calibration():
    while not pathlib.Path(__file__).with_name("go").exists():
        threading.Event().wait(0.01)
    yield {"x": np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)}
"""
CONFIG = """
output: out
repository: out/repository
timings: false
targets: {cpu: {builder: onnxruntime}}
models:
  small:
    source: small.onnx
    data: {calibration: {generator: "waiting.py:calibration"}, verification: {npz: verification.npz}}
    targets: [cpu]
    variants: {int8: {precision: int8, gate: {cosine: 0.5}}}
"""


def built(folder: Path, config: EnginesConfig, *only: str) -> tuple[BuildResult, str]:
    told = io.StringIO()
    result = build(Order(config, folder, only), Console(file=told, width=200))
    return result, told.getvalue()


def test_workers_build_and_the_next_build_finds_all_done(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    config = configuration(FP16)
    first, told = built(tmp_path, config)
    assert first.passed
    assert "✓ small publish fp16 cpu  small_fp16_cpu/1 published" in told
    (model,) = first.models
    assert (model.name, model.source, model.kind) == ("small", "small.onnx", "onnx")
    assert model.peak_mib > 0
    assert (tmp_path / "out/logs/small.log").is_file()
    assert {"onnx", "onnxruntime"} <= set(first.versions)
    again, _ = built(tmp_path, config)
    assert all(step.cached for variant in again.models[0].variants for step in variant.steps)


def test_only_the_models_that_are_asked_for(tmp_path: Path) -> None:
    config = configuration(FP16)
    both = config.model_copy(update={"models": {"other": config.models["small"], **config.models}})
    write_inputs(tmp_path)
    result, _ = built(tmp_path, both, "small")
    assert [model.name for model in result.models] == ["small"]
    with pytest.raises(ConfigError, match="there is no model 'smal'; did you mean 'small'"):
        built(tmp_path, both, "smal")


def test_two_builds_at_once_in_one_output_are_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with (tmp_path / "out/.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match=r"another build is at work in .*out; wait for it"):
            built(tmp_path, configuration(FP16))


def test_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ConversionError, match="out cannot be written"):
        built(tmp_path, configuration(FP16))


def started(folder: Path) -> subprocess.Popen[str]:
    """A build in a session of its own, as a terminal would have it, once it waits in the calibration."""
    command = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    command += "from converters.cli import main; main(['build', '--config', 'engines.yaml'])"
    process = subprocess.Popen(
        [sys.executable, "-c", command], cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:  # the calibration comes after this gate
        if "gate onnx" in line:
            return process
    raise AssertionError("it ended before it could be interrupted")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_keeps_what_was_finished_and_leaves_nothing_half_written(tmp_path: Path, number: signal.Signals) -> None:
    write_inputs(tmp_path)
    (tmp_path / "waiting.py").write_text(WAITING)
    (tmp_path / "engines.yaml").write_text(CONFIG)
    process = started(tmp_path)
    # Ctrl-C reaches the whole group, and what ends a job the process alone.
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    told, _ = process.communicate(timeout=30)
    assert process.returncode == 130, told
    assert "Traceback" not in told
    assert told.splitlines()[-2:] == [
        "what was finished is kept: the next build goes on from there",
        "error: interrupted",
    ]
    cache = tmp_path / "out/cache"
    assert {path.parent.parent.name for path in cache.glob(f"*/*/{ENTRY}")} == {"onnx", "verdict"}
    assert [path for path in cache.glob("*/*") if not (path / ENTRY).is_file()] == []
    assert not (tmp_path / "out/repository").exists()
    (tmp_path / "go").touch()
    result, _ = built(tmp_path, load(tmp_path / "engines.yaml"))
    assert result.passed
    steps = {step.name: step.cached for model in result.models for step in (*model.steps, *model.variants[0].steps)}
    assert steps["to ONNX"]
    assert steps["gate onnx"]
    assert not all(steps.values())

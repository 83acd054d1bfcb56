"""The demonstration, without a server; that its answers are right is tested against a real Triton."""

import asyncio
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from gateway import demo
from gateway.demo import SAMPLE_MODELS, run_demo

NOTES = [
    {"pitch": 64, "name": "E4", "onset": 0.0, "duration": 1.0},
    {"pitch": 60, "name": "C4", "onset": 1.0, "duration": 1.0},
]
ANSWERS: dict[str, Any] = {
    "basic_pitch": {"seconds": 2.0, "notes": NOTES, "matches": True},
    "basic_pitch_onnx": {"seconds": 2.0, "notes": NOTES, "matches": True},
    "magika": {"files": [{"file": "/a/transcribe.py", "label": "python", "score": 0.99}]},
    "silero_vad": {"seconds": 30.0, "probabilities": [0.0] * 64 + [1.0] * 64, "segments": [], "agreement": 0.98},
}

Show = Callable[[dict[str, Any]], tuple[bool, str]]


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch) -> Show:
    """Run the demonstration with examples that say what they are told to; an exception is a failure."""

    def run(answers: dict[str, Any]) -> tuple[bool, str]:
        async def answer(_: Path, commands: list[list[str]]) -> list[demo.Answer]:
            return [
                demo.Answer(None, str(a), 0.1) if isinstance(a, Exception) else demo.Answer(a, "", 0.1)
                for a in (answers[name] for name in SAMPLE_MODELS if name in answers)
            ]

        monkeypatch.setattr(demo, "_run_all", answer)
        monkeypatch.setattr(demo, "_files_of_known_type", lambda _: {Path("/a/transcribe.py"): "python"})
        output = io.StringIO()
        console = Console(file=output, width=80)
        return asyncio.run(run_demo("localhost:8080", "localhost:8081", list(answers), console)), output.getvalue()

    return run


def test_right_answers_are_shown(show: Show) -> None:
    right, text = show(ANSWERS)
    assert right
    assert "✗" not in text
    assert f" E4 ●{'━' * 31}\n" in text
    assert f" C4 {' ' * 32}●{'━' * 31}\n" in text
    assert "✓ both models agree, onsets 0 ms apart at most" in text
    assert "✓ transcribe.py      python      99.0%" in text
    assert f"{'▁' * 32}{'█' * 32}" in text
    assert "98.0% of 128 windows are as people labelled them" in text


@pytest.mark.parametrize(
    ("model", "change", "complaint"),
    [
        ("basic_pitch", {"matches": False}, "basic_pitch (TensorFlow, gRPC): 2 notes, they are NOT the melody's"),
        ("basic_pitch", {"notes": NOTES[:1]}, "the models do NOT agree"),
        ("magika", {"files": [{"file": "/a/transcribe.py", "label": "ruby", "score": 0.5}]}, "transcribe.py      ruby"),
        ("silero_vad", {"agreement": 0.5}, "50.0% of 128 windows"),
        ("silero_vad", {"agreement": None}, "0.0% of 128 windows"),
    ],
)
def test_a_wrong_answer_is_marked_and_told(show: Show, model: str, change: dict[str, Any], complaint: str) -> None:
    right, text = show(ANSWERS | {model: ANSWERS[model] | change})
    assert not right
    assert f"✗ {complaint}" in text


@pytest.mark.parametrize("model", SAMPLE_MODELS)
def test_an_example_that_fails_does_not_hide_the_others(show: Show, model: str) -> None:
    right, text = show(ANSWERS | {model: ConnectionError("the line is dead")})
    assert not right
    assert f"✗ {model} gave no answer: the line is dead" in text
    assert text.count("✓") >= 3


@pytest.mark.parametrize("model", SAMPLE_MODELS)
def test_a_model_that_is_not_ready_is_left_out_with_a_line(show: Show, model: str) -> None:
    right, text = show({name: answer for name, answer in ANSWERS.items() if name != model})
    assert right
    assert f"{model} is not ready, so its part is left out." in text
    assert "both models agree" not in text or model not in demo.PITCH_MODELS


def test_how_to_call_it_again_is_printed_on_lines_that_can_be_copied(show: Show) -> None:
    _, text = show(ANSWERS)
    assert "curl -s localhost:8080/v2/models/magika/infer" in text
    assert f"{sys.executable} - <<'END'\n" in text


def test_without_a_sample_model_there_is_nothing_to_show() -> None:
    output = io.StringIO()
    assert asyncio.run(run_demo("localhost:1", "localhost:1", ["my_own"], Console(file=output)))
    assert "None of the sample models is ready" in output.getvalue()


def test_a_gateway_that_is_not_there_is_told_by_the_real_examples() -> None:
    output = io.StringIO()
    console = Console(file=output, width=200)
    assert not asyncio.run(run_demo("127.0.0.1:1", "127.0.0.1:1", ["magika", "basic_pitch_onnx"], console))
    assert "✗ magika gave no answer: magika at 127.0.0.1:1 did not answer" in output.getvalue()
    assert "✗ basic_pitch_onnx gave no answer: basic_pitch_onnx at 127.0.0.1:1 did not answer" in output.getvalue()


async def test_when_it_is_cancelled_no_example_is_left_running(tmp_path: Path) -> None:
    script = "import os, pathlib, sys, time; pathlib.Path(sys.argv[2]).write_text(str(os.getpid())); time.sleep(60)"
    (tmp_path / "sleeper.py").write_text(script)
    files = [tmp_path / "one", tmp_path / "other"]
    task = asyncio.create_task(demo._run_all(tmp_path, [["sleeper.py", str(file)] for file in files]))
    while not all(file.exists() and file.read_text() for file in files):
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for pid in [int(file.read_text()) for file in files]:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

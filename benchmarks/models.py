"""The real models of the peers' comparison, with real-looking input."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.payloads import Array

REPOSITORY = Path(__file__).parents[1] / "model_repository"
MODELS = ("magika", "basic_pitch_onnx")


@dataclass(frozen=True, slots=True)
class Sample:
    """A model with one request for it and the right answer.

    Attributes:
        name: the model's.
        path: of the ONNX file.
        inputs: each input's name and tensor, a batch of one.
        outputs: each output's name and tensor, as ONNX Runtime gives it.
    """

    name: str
    path: Path
    inputs: dict[str, Array]
    outputs: dict[str, Array]


def sample(name: str) -> Sample:
    """A fetched sample model, with input of the kind that it is made for.

    magika gets the first bytes of this file, basic_pitch_onnx 2 seconds of three notes.
    """
    import onnxruntime  # noqa: PLC0415 - an optional extra, needed by this part alone

    path = REPOSITORY / name / "1" / "model.onnx"
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    inputs = {session.get_inputs()[0].name: _file_beginning() if name == "magika" else _notes()}
    names = [output.name for output in session.get_outputs()]
    return Sample(name, path, inputs, dict(zip(names, session.run(names, inputs), strict=True)))


def _file_beginning() -> Array:
    text = np.frombuffer(Path(__file__).read_bytes()[:1024], np.uint8).astype(np.int32)
    return np.pad(text, (0, 2048 - len(text)), constant_values=256)[np.newaxis]


def _notes() -> Array:
    seconds = np.arange(43844) / 22050
    pitch = 440 * 2 ** (np.floor(seconds * 1.5) * 4 / 12)
    wave: Array = (0.4 * np.sin(2 * np.pi * pitch * seconds)).astype(np.float32).reshape(1, -1, 1).round(4)
    return wave


def differences(found: dict[str, Any], expected: dict[str, Array]) -> str:
    """In what an answer is not right, empty if it is; both by output name."""
    if set(found) != set(expected):
        return f"outputs are {sorted(found)} instead of {sorted(expected)}"
    for name, wanted in expected.items():
        got = np.asarray(found[name], np.float32)
        if got.size != wanted.size:
            return f"{name} has {got.size} elements instead of {wanted.size}"
        if not np.allclose(got.ravel(), wanted.ravel(), atol=1e-3):
            return f"{name} differs by {np.abs(got.ravel() - wanted.ravel()).max():.2g}"
    return ""

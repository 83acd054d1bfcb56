from pathlib import Path

import numpy as np
import pytest

from tests.converters.build.building import write_inputs

OWN = """
import numpy as np


def data():
    for number in range(2):
        yield {"x": np.random.default_rng(number).normal(size=(4, 8)).astype(np.float32)}


def traced():
    yield {"input": np.ones((4, 8), np.float32)}


def same(original, result, inputs):
    return float(sum(np.allclose(a["y"], b["y"], atol=0.1) for a, b in zip(original, result)) / len(inputs))


def module():
    import torch

    torch.manual_seed(1)
    return torch.nn.Linear(8, 3)


def trees():
    from sklearn.tree import DecisionTreeClassifier

    rows = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    return DecisionTreeClassifier(max_depth=3, random_state=0).fit(rows, rows[:, 0] > 0)
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `small.onnx`, data for it and functions, that commands run in."""
    write_inputs(tmp_path)
    (tmp_path / "own.py").write_text(OWN)
    np.savez(tmp_path / "wrong.npz", x=np.zeros((4, 9), np.float32))
    monkeypatch.chdir(tmp_path)
    return tmp_path

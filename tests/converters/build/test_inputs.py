from pathlib import Path

import numpy as np
import pytest

from converters.build.config import DataSection
from converters.build.inputs import dataset_of, reference_digest, reference_of


def test_paths_are_relative_to_the_configuration(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 2), np.float32))
    data = dataset_of(DataSection(npz=Path("a.npz"), batch_size=2), tmp_path, None)
    assert [batch["x"].shape for batch in data] == [(2, 2), (2, 2)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("../models/pitch", "BASE/../models/pitch"),
        ("models.py:net", "BASE/models.py:net"),
        ("/abs/m.onnx", "/abs/m.onnx"),
        ("package.models:net", "package.models:net"),
    ],
)
def test_sources_are_found_from_there_too(tmp_path: Path, source: str, expected: str) -> None:
    assert reference_of(source, tmp_path) == expected.replace("BASE", str(tmp_path))


def test_a_function_is_known_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "metric.py").write_text("def f(): return 1\n")
    before = reference_digest("metric.py:f", tmp_path)
    (tmp_path / "metric.py").write_text("def f(): return 2\n")
    assert len(before) == 64
    assert reference_digest("metric.py:f", tmp_path) != before
    assert reference_digest("missing.py:f", tmp_path) == ""
    assert len(reference_digest("json:dumps", tmp_path)) == 64

"""Treelite's checkpoints."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.kinds.treelite import TreeliteKind
from tests.backends.fil import tree_models as trees
from tests.backends.fil.tree_models import BINARY, CLASSES, REGRESSION, ROWS, Array
from tests.gateway.repository.kinds.tree_checks import prepared, reference

treelite = pytest.importorskip("treelite", reason="install the extra 'trees'")
ensemble = pytest.importorskip("sklearn.ensemble", reason="install the extra 'trees'")

KIND = TreeliteKind()


@pytest.mark.parametrize(
    ("estimator", "label", "method"),
    [
        (ensemble.RandomForestRegressor(3), REGRESSION, "predict"),
        (ensemble.RandomForestClassifier(3), CLASSES, "predict_proba"),
        (ensemble.GradientBoostingClassifier(n_estimators=3), BINARY, "predict_proba"),
    ],
)
def test_a_checkpoint_answers_as_what_it_was_made_of(tmp_path: Path, estimator: Any, label: Array, method: str) -> None:
    estimator.fit(ROWS, label)
    trees.checkpoint(tmp_path / "m.tl", estimator)
    description, answer = reference(KIND, tmp_path / "m.tl", ROWS)
    np.testing.assert_allclose(answer, getattr(estimator, method)(ROWS).reshape(answer.shape), atol=1e-6)
    assert description.filename == "checkpoint.tl"
    assert description.parameters["model_type"] == "treelite_checkpoint"
    assert description.origin["producer"] == f"treelite {treelite.__version__}"


@pytest.mark.parametrize("content", [b"", b"nonsense" * 50])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.tl").write_bytes(content)
    with pytest.raises(
        ModelRefused, match=r"^'m.tl' cannot be served as trees: Treelite says of this checkpoint: Cannot"
    ):
        prepared(KIND, tmp_path / "m.tl")


def test_only_its_ending_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "folder.tl").mkdir()
    (tmp_path / "m.txt").touch()
    assert not KIND.recognise(tmp_path / "folder.tl")
    assert not KIND.recognise(tmp_path / "m.txt")

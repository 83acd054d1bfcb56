"""Estimators that are no forests become ONNX where skl2onnx is installed, and are told so where it is not."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.description import Hints, Tensor
from gateway.repository.kinds.skops import SkopsKind
from tests.backends.fil.tree_models import BINARY, CLASSES, REGRESSION, ROWS, Array
from tests.gateway.repository.kinds.tree_checks import prepared

pytest.importorskip("treelite", reason="install the extra 'trees'")
pytest.importorskip("skops", reason="install the extra 'trees'")
pytest.importorskip("sklearn", reason="install the extra 'trees'")

import skops.io as skops
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

KIND = SkopsKind()
NAMES = np.array(["no", "yes"])[BINARY]
needs_converter = pytest.mark.skipif(
    not (importlib.util.find_spec("skl2onnx") and importlib.util.find_spec("onnxruntime")),
    reason="install skl2onnx and the extra 'onnx'",
)


def test_without_the_converter_it_is_said_how_to_get_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skops.dump(LogisticRegression().fit(ROWS, BINARY), tmp_path / "m.skops")
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "skl2onnx" else find(name, *rest)
    )
    with pytest.raises(ModelRefused) as caught:
        prepared(KIND, tmp_path / "m.skops")
    assert caught.value.message == (
        "the LogisticRegression in 'm.skops' is not only trees, so it is served by way of ONNX, which needs skl2onnx: "
        "pip install skl2onnx, or export it to ONNX yourself with skl2onnx.to_onnx, and drop the .onnx file"
    )


@needs_converter
@pytest.mark.parametrize(
    ("estimator", "label", "outputs"),
    [
        (LogisticRegression(), CLASSES, {"label": "predict", "probabilities": "predict_proba"}),
        (LogisticRegression(), NAMES, {"label": "predict", "probabilities": "predict_proba"}),
        (make_pipeline(StandardScaler(), RandomForestClassifier(3)), BINARY, {"probabilities": "predict_proba"}),
        (KNeighborsClassifier(3), BINARY, {"label": "predict"}),
        (SVC(), BINARY, {"label": "predict"}),
        (LinearRegression(), REGRESSION, {"variable": "predict"}),
        (MLPRegressor(hidden_layer_sizes=(4,), tol=1e9, n_iter_no_change=1), REGRESSION, {"variable": "predict"}),
        (KMeans(3, n_init=1), None, {"label": "predict"}),
        (StandardScaler(), None, {"variable": "transform"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_estimator_answers_as_it_does_itself(
    tmp_path: Path, estimator: Any, label: Array | None, outputs: dict[str, str]
) -> None:
    skops.dump(estimator.fit(ROWS, label), tmp_path / "m.skops")
    description, version = prepared(KIND, tmp_path / "m.skops")
    assert (description.kind, description.backend, description.batches) == ("skops", "onnxruntime", True)
    assert [(tensor.name, tensor.datatype, tensor.shape) for tensor in description.inputs] == [("X", "FP32", (-1, 5))]
    assert description.origin["compared"].startswith("128 rows with scikit-learn itself: ")
    assert description.origin["producer"] == f"scikit-learn {type(estimator).__name__}"
    got = KIND.reference(version, description, {"X": ROWS})
    for name, method in outputs.items():
        want = getattr(estimator, method)(ROWS)
        if want.dtype.kind == "U":
            assert [each.decode() for each in got[name].ravel()] == want.tolist()
        else:
            np.testing.assert_allclose(got[name].reshape(want.shape), want, rtol=1e-3, atol=1e-4)


@needs_converter
def test_a_model_of_texts_takes_texts(tmp_path: Path) -> None:
    texts = ["good film", "bad film", "awful", "great fun"]  # alone, "film" is as much of one class as of the other
    pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts * 5, [1, 0, 0, 1] * 5)
    skops.dump(pipeline, tmp_path / "m.skops")
    description, version = prepared(KIND, tmp_path / "m.skops")
    assert (description.inputs, description.batches) == ((Tensor("X", "BYTES", (-1, 1)),), True)
    rows = np.array([[text.encode()] for text in texts], object)
    answer = KIND.reference(version, description, {"X": rows})
    assert answer["probabilities"] == pytest.approx(pipeline.predict_proba(texts), abs=1e-5)


@needs_converter
def test_a_vote_is_served_whatever_its_transform_gives(tmp_path: Path) -> None:
    vote = VotingClassifier([("line", LogisticRegression()), ("near", KNeighborsClassifier())], voting="soft")
    skops.dump(vote.fit(ROWS, CLASSES), tmp_path / "m.skops")
    description, version = prepared(KIND, tmp_path / "m.skops")
    answer = KIND.reference(version, description, {"X": ROWS})
    assert answer["probabilities"] == pytest.approx(vote.predict_proba(ROWS), abs=1e-5)


@needs_converter
def test_a_classifier_without_probabilities_has_only_its_label(tmp_path: Path) -> None:
    skops.dump(SVC().fit(ROWS, BINARY), tmp_path / "m.skops")
    description, _ = prepared(KIND, tmp_path / "m.skops")
    assert [tensor.name for tensor in description.outputs] == ["label"]


@needs_converter
def test_what_cannot_be_converted_is_refused(tmp_path: Path) -> None:
    pipeline = make_pipeline(FunctionTransformer(np.log1p), LogisticRegression()).fit(ROWS**2, BINARY)
    skops.dump(pipeline, tmp_path / "m.skops")
    message = "^the Pipeline in 'm.skops' cannot be converted to ONNX: FunctionTransformer is not supported unless"
    with pytest.raises(ModelRefused, match=message):
        prepared(KIND, tmp_path / "m.skops")


@needs_converter
def test_an_answer_that_would_differ_is_refused(tmp_path: Path) -> None:
    skops.dump(LogisticRegression().fit(ROWS, BINARY), tmp_path / "m.skops")
    message = "would not answer as scikit-learn does: output 'probabilities' differs for .*% of 128 rows"
    with pytest.raises(ModelRefused, match=message):
        prepared(KIND, tmp_path / "m.skops", Hints(tolerance=0))


@needs_converter
def test_the_sample_that_somebody_gave_is_compared(tmp_path: Path) -> None:
    skops.dump(LogisticRegression().fit(ROWS, BINARY), tmp_path / "m.skops")
    np.savez(tmp_path / "sample.npz", X=ROWS[:50])
    with pytest.raises(ModelRefused, match="of 50 rows"):
        prepared(KIND, tmp_path / "m.skops", Hints(sample=tmp_path / "sample.npz", tolerance=0))

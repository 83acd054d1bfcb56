"""scikit-learn's own files: what may be inside of them, and where it goes."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.kinds.skops import SkopsKind
from tests.backends.fil.tree_models import BINARY, CLASSES, ROWS
from tests.gateway.repository.kinds.tree_checks import prepared, reference

pytest.importorskip("treelite", reason="install the extra 'trees'")
pytest.importorskip("skops", reason="install the extra 'trees'")
pytest.importorskip("sklearn", reason="install the extra 'trees'")

import skops.io as skops
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

KIND = SkopsKind()


def dumped(path: Path, thing: Any) -> Path:
    skops.dump(thing, path)
    return path


def refusal(source: Path) -> str:
    with pytest.raises(ModelRefused) as caught:
        prepared(KIND, source)
    return caught.value.message


def test_a_forest_is_served_by_fil_and_its_reference_is_treelite(tmp_path: Path) -> None:
    forest = RandomForestClassifier(3, random_state=0).fit(ROWS, CLASSES)
    description, answer = reference(KIND, dumped(tmp_path / "m.skops", forest), ROWS)
    assert (description.kind, description.backend, description.framework) == ("skops", "fil", "trees")
    assert description.origin["compared"].startswith("64 rows with scikit-learn itself: max difference ")
    assert answer == pytest.approx(forest.predict_proba(ROWS), abs=1e-6)


@pytest.mark.parametrize("scoring", [None, "roc_auc_ovr"])
def test_a_search_is_served_as_the_model_that_it_found(tmp_path: Path, scoring: str | None) -> None:
    folds = StratifiedKFold(2)
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=folds, scoring=scoring).fit(ROWS, CLASSES)
    description, version = prepared(KIND, dumped(tmp_path / "m.skops", search))
    assert description.backend == "onnxruntime"
    answer = KIND.reference(version, description, {"X": ROWS})
    assert answer["probabilities"] == pytest.approx(search.predict_proba(ROWS), abs=1e-5)


def test_types_of_other_packages_are_refused_by_name(tmp_path: Path) -> None:
    source = dumped(tmp_path / "m.skops", make_pipeline(FunctionTransformer(zipfile.is_zipfile)))
    said = refusal(source)
    assert "'m.skops' holds types that are not known as parts of scikit-learn's estimators" in said
    assert "zipfile.is_zipfile" in said


def test_a_booster_inside_is_told_its_own_format(tmp_path: Path) -> None:
    xgboost = pytest.importorskip("xgboost", reason="install the extra 'trees'")
    model = xgboost.XGBClassifier(n_estimators=2, n_jobs=1).fit(ROWS, BINARY)
    assert "save the model itself with model.save_model('m.json')" in refusal(dumped(tmp_path / "m.skops", model))


def test_what_is_no_estimator_is_refused(tmp_path: Path) -> None:
    assert "the dict in 'm.skops' is no estimator of scikit-learn" in refusal(dumped(tmp_path / "m.skops", {"a": 1}))


def test_what_is_not_fitted_is_refused(tmp_path: Path) -> None:
    said = refusal(dumped(tmp_path / "m.skops", LogisticRegression()))
    assert said == "the LogisticRegression in 'm.skops' is not fitted; call its fit before skops.io.dump"


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    source = dumped(tmp_path / "m.skops", RandomForestClassifier(2).fit(ROWS, BINARY))
    source.write_bytes(source.read_bytes()[:-400])
    assert refusal(source).startswith("'m.skops' cannot be read by skops: BadZipFile")
    (tmp_path / "n.skops").write_bytes(b"text")
    assert "is no skops file" in refusal(tmp_path / "n.skops")
    with zipfile.ZipFile(tmp_path / "o.skops", "w") as file:
        file.writestr("other.json", "{}")
    assert refusal(tmp_path / "o.skops").startswith("'o.skops' cannot be read by skops: KeyError")


def test_a_model_of_another_version_of_scikit_learn_is_noted(tmp_path: Path) -> None:
    forest = RandomForestClassifier(2).fit(ROWS, BINARY)
    dumped(tmp_path / "new.skops", forest)
    with zipfile.ZipFile(tmp_path / "new.skops") as new, zipfile.ZipFile(tmp_path / "m.skops", "w") as old:
        for name in new.namelist():
            content = new.read(name)
            if name == "schema.json":
                import sklearn  # noqa: PLC0415 - its version only

                content = content.replace(f'\\"{sklearn.__version__}\\"'.encode(), b'\\"1.3.0\\"')
            old.writestr(name, content)
    description, _ = prepared(KIND, tmp_path / "m.skops")
    assert any("saved with scikit-learn 1.3.0" in note for note in description.ambiguous)


def test_only_its_ending_is_recognised(tmp_path: Path) -> None:
    (tmp_path / "folder.skops").mkdir()
    (tmp_path / "m.zip").touch()
    assert not KIND.recognise(tmp_path / "folder.skops")
    assert not KIND.recognise(tmp_path / "m.zip")

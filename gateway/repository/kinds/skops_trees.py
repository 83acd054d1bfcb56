"""Forests of scikit-learn as checkpoints of Treelite."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gateway.repository.description import Description, Hints
from gateway.repository.kinds.base import Target
from gateway.repository.kinds.treelite import FILENAME
from gateway.repository.kinds.trees import (
    OUTPUT,
    Answer,
    check_equal,
    describe,
    listed,
    open_forest,
    probes,
    with_gaps,
)
from gateway.repository.labels import write_labels

if TYPE_CHECKING:
    from gateway.repository.kinds.base import Array

_ISOLATION = (
    "the answer is the anomaly score -score_samples(X), where more is stranger; decision_function(X) is {offset:.6g} "
    "minus the answer, and predict(X) is -1 where that is negative"
)


def supported(estimator: Any) -> Any | None:
    """What Treelite is to import for an estimator; None if it has no way with such a one.

    A single decision tree becomes a forest of one.
    """
    from sklearn import ensemble, tree  # noqa: PLC0415 - the kinds cost nothing outside of the sandbox

    classifier, regressor = ensemble.RandomForestClassifier, ensemble.RandomForestRegressor
    forests = (
        classifier,
        regressor,
        ensemble.ExtraTreesClassifier,
        ensemble.ExtraTreesRegressor,
        ensemble.HistGradientBoostingClassifier,
        ensemble.HistGradientBoostingRegressor,
        ensemble.IsolationForest,
    )
    boosted = (ensemble.GradientBoostingClassifier, ensemble.GradientBoostingRegressor)
    if isinstance(estimator, boosted):
        own_start = estimator.init_ == "zero" or type(estimator.init_).__module__ == "sklearn.dummy"
        return estimator if own_start else None
    if isinstance(estimator, forests):
        return estimator
    if isinstance(estimator, tree.DecisionTreeClassifier | tree.DecisionTreeRegressor):
        forest = (classifier if isinstance(estimator, tree.DecisionTreeClassifier) else regressor)(n_estimators=1)
        fitted = {key: value for key, value in vars(estimator).items() if key.endswith("_") and key != "tree_"}
        vars(forest).update(fitted, estimators_=[estimator])
        return forest
    return None


def prepare(  # noqa: PLR0913, PLR0917 - each is known by the caller only
    forest: Any, estimator: Any, target: Target, hints: Hints, name: str, notes: Sequence[str]
) -> Description:
    """The estimator as `checkpoint.tl`.

    Args:
        forest: what Treelite imports for it.
        estimator: what was in the file.
        target: where the checkpoint and a label file go.
        hints: give the tolerance.
        name: what messages call it.
        notes: what is to be said of it already.

    Raises:
        ModelRefused: Treelite cannot import it, or would answer otherwise.
    """
    import treelite.sklearn  # noqa: PLC0415 - the kinds cost nothing outside of the sandbox

    imported = open_forest(functools.partial(treelite.sklearn.import_model, forest), name, "estimator")
    classes = getattr(estimator, "classes_", None)
    answer = Answer.PROBABILITIES if classes is not None and imported.targets == 1 else Answer.SCORES
    rows = probes(imported)
    largest = check_equal("scikit-learn", _own_answer(estimator, rows), imported.predict(rows, answer), hints.tolerance)
    _check_gaps(estimator, with_gaps(rows), functools.partial(imported.predict, answer=answer), hints.tolerance)
    path = target.version / FILENAME
    imported.model.serialize(path)
    isolation = hasattr(estimator, "offset_")
    method = "predict_proba" if classes is not None else "-score_samples" if isolation else "predict"
    compared = f"{len(rows)} rows with scikit-learn itself: max difference {largest:.2g}"
    description = describe(
        "skops",
        path,
        imported,
        answer,
        model_type="treelite_checkpoint",
        ambiguous=[*notes, *([_ISOLATION.format(offset=-estimator.offset_)] if isolation else [])],
        origin={**origin(estimator, method), "compared": compared},
    )
    if classes is not None and answer is Answer.PROBABILITIES and OUTPUT not in hints.labels:
        return write_labels(target.model, description, {OUTPUT: [str(each) for each in classes]})
    return description


def origin(estimator: Any, method: str) -> dict[str, str]:
    """What the catalog tells of an estimator."""
    told = {"format": "skops", "producer": f"scikit-learn {type(estimator).__name__}", "answers": f"as {method}"}
    if (names := getattr(estimator, "feature_names_in_", None)) is not None:
        told["features"] = listed(names)
    return told


def _check_gaps(estimator: Any, rows: Array, predict: Any, tolerance: float) -> None:
    """The same for missing values, where the estimator takes them."""
    try:
        own = _own_answer(estimator, rows)
    except ValueError:  # it has never seen any
        return
    check_equal("scikit-learn", own, predict(rows), tolerance, why="missing values are taken otherwise")


def _own_answer(estimator: Any, rows: Array) -> Array:
    """The estimator's answer, shaped [rows, ...] as Treelite's is."""
    import numpy as np  # noqa: PLC0415 - the kinds cost nothing outside of the sandbox

    answer: Array
    if hasattr(estimator, "offset_"):
        answer = -estimator.score_samples(rows)
        return answer
    if not hasattr(estimator, "predict_proba"):
        answer = estimator.predict(rows)
        return answer
    scores = estimator.predict_proba(rows)
    if not isinstance(scores, list):
        answer = scores
        return answer
    classes = max(each.shape[1] for each in scores)  # of several targets, each with classes of its own
    return np.stack([np.pad(each, ((0, 0), (0, classes - each.shape[1]))) for each in scores], axis=1)

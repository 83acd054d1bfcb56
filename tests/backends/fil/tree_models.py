"""Tiny real tree models, trained in milliseconds; each function writes one file and gives the framework's answer."""

# ruff: noqa: PLC0415 - each framework is imported only by the tests that need it

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

FEATURES = 5
ROWS: Array = np.random.default_rng(0).normal(size=(200, FEATURES)).astype(np.float32)
REGRESSION: Array = ROWS[:, 0] * 2 + ROWS[:, 1] ** 2
BINARY: Array = (REGRESSION > 1).astype(int)
CLASSES: Array = np.digitize(REGRESSION, [0, 2])
TARGETS: Array = np.stack([REGRESSION, -REGRESSION], axis=1)
CATEGORICAL: Array = np.column_stack([ROWS[:, 1:], np.arange(200) % 7]).astype(np.float32)
"""The last column holds the number of a category."""
ODD: Array = (np.arange(200) % 7 % 2).astype(int)


def xgboost(path: Path, label: Array, rows: Array = ROWS, rounds: int = 4, **parameters: Any) -> Array:
    """A booster of `xgboost.train`; the last column is categorical in `CATEGORICAL`."""
    import xgboost as framework

    kinds = [*["q"] * (FEATURES - 1), "c"] if rows is CATEGORICAL else None
    data = framework.DMatrix(rows, label=label, feature_types=kinds, enable_categorical=True)
    booster = framework.train({"max_depth": 3, "nthread": 1, "max_cat_to_onehot": 2, **parameters}, data, rounds)
    path.parent.mkdir(parents=True, exist_ok=True)
    booster.save_model(path)
    answer: Array = booster.predict(data)
    return answer


def lightgbm(path: Path, label: Array, rows: Array = ROWS, **parameters: Any) -> Array:
    """A booster of `lightgbm.train`; the last column is categorical in `CATEGORICAL`."""
    import lightgbm as framework

    settings: Mapping[str, Any] = {"verbosity": -1, "num_threads": 1, "num_leaves": 6, **parameters}
    categorical = [FEATURES - 1] if rows is CATEGORICAL else "auto"
    booster = framework.train(
        dict(settings), framework.Dataset(rows, label=label, categorical_feature=categorical), num_boost_round=4
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    booster.save_model(path)
    answer: Array = booster.predict(rows)
    return answer


def checkpoint(path: Path, estimator: Any) -> None:
    """A fitted estimator of scikit-learn as Treelite's checkpoint."""
    import treelite.sklearn

    path.parent.mkdir(parents=True, exist_ok=True)
    treelite.sklearn.import_model(estimator).serialize(path)

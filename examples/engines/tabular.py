"""A scikit-learn, an XGBoost and a LightGBM model, trained here and always the same, and what verifies them.

The data sets come with scikit-learn. Two thirds of each train the model, the rest verifies it. Every model takes
`input`, FP32 [batch, features]. The trees are not quantised: they compare with thresholds, and INT8 would send rows
another way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from lightgbm import LGBMRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier

Array = npt.NDArray[Any]
Batch = Mapping[str, Array]
Load = Callable[..., tuple[Array, Array]]

INPUT = "input"
BATCH = 64


def digits() -> Pipeline:
    """scikit-learn: which digit it is, from 64 pixels; a scaler and a small neural network."""
    rows, _, labels, _ = _split(load_digits)
    return make_pipeline(StandardScaler(), MLPClassifier((64, 32), random_state=0, max_iter=60, tol=1e-2)).fit(
        rows, labels
    )


def tumours() -> XGBClassifier:
    """XGBoost: whether a tumour is benign, from 30 measurements of its cells; 50 boosted trees."""
    rows, _, labels, _ = _split(load_breast_cancer)
    return XGBClassifier(n_estimators=50, max_depth=4, learning_rate=0.2, n_jobs=1, random_state=0).fit(rows, labels)


def diabetes() -> LGBMRegressor:
    """LightGBM: how far the disease has gone after a year, from 10 measurements; 60 boosted trees."""
    rows, _, targets, _ = _split(load_diabetes)
    return LGBMRegressor(
        n_estimators=60, num_leaves=15, learning_rate=0.05, n_jobs=1, random_state=0, deterministic=True, verbose=-1
    ).fit(rows, targets)


def digits_calibration() -> Iterator[Batch]:
    """256 of the digits that the model was trained with."""
    return _batches(_split(load_digits)[0][:256])


def digits_verification() -> Iterator[Batch]:
    """The digits that it has not seen."""
    return _batches(_split(load_digits)[1])


def tumours_verification() -> Iterator[Batch]:
    """The tumours that the model has not seen."""
    return _batches(_split(load_breast_cancer)[1])


def diabetes_verification() -> Iterator[Batch]:
    """The patients that the model has not seen."""
    return _batches(_split(load_diabetes)[1])


def _split(load: Load) -> tuple[Array, Array, Array, Array]:
    """Rows to train with, rows to verify with, and the labels of both."""
    rows, labels = load(return_X_y=True)
    train, test, train_labels, test_labels = train_test_split(
        rows.astype(np.float32), labels, test_size=1 / 3, random_state=0
    )
    return train, test, train_labels, test_labels


def _batches(rows: Array) -> Iterator[Batch]:
    for start in range(0, len(rows), BATCH):
        yield {INPUT: rows[start : start + BATCH]}

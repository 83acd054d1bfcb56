"""The three models of tables: that they learn something, and always the same."""

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits

from examples.engines import tabular
from examples.engines.tabular import BATCH, Array


def rows(name: str) -> Array:
    return np.concatenate([batch["input"] for batch in getattr(tabular, name)()])


@pytest.mark.parametrize(
    ("name", "features", "count"), [("digits", 64, 599), ("tumours", 30, 190), ("diabetes", 10, 148)]
)
def test_each_model_is_trained_the_same_way_twice_and_takes_what_verifies_it(
    name: str, features: int, count: int
) -> None:
    verification = rows(f"{name}_verification")
    assert verification.shape == (count, features)
    assert verification.dtype == np.float32
    one, other = (getattr(tabular, name)() for _ in range(2))
    assert np.array_equal(predicted(one, verification), predicted(other, verification))


def predicted(model: Any, features: Array) -> Array:
    answer: Array = model.predict(features)
    return answer


def test_models_know_what_they_have_not_seen() -> None:
    for name, load, least in (
        ("digits", load_digits, 0.93),
        ("tumours", load_breast_cancer, 0.93),
        ("diabetes", load_diabetes, 0.25),  # R squared; a hard data set
    ):
        _, test, _, labels = tabular._split(load)
        model = getattr(tabular, name)()
        assert model.score(test, labels) > least


def test_batches_are_no_larger_than_they_may_be_and_lose_no_row() -> None:
    sizes = [len(batch["input"]) for batch in tabular.digits_verification()]
    assert sizes == [BATCH] * 9 + [23]
    assert sum(len(batch["input"]) for batch in tabular.digits_calibration()) == 256


def test_digits_are_calibrated_with_others_than_they_are_verified_with() -> None:
    seen = {row.tobytes() for row in rows("digits_calibration")}
    assert seen.isdisjoint(row.tobytes() for row in rows("digits_verification"))

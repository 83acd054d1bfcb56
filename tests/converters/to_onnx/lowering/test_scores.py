from __future__ import annotations

import numpy as np
import onnx
import pytest

from converters.arrays import Array
from converters.errors import Unsupported
from converters.to_onnx.lowering.scores import Labels
from converters.to_onnx.lowering.tensor_operators import TensorOperatorsFromOnnx
from tests.converters.to_onnx.lowering.conftest import Build, Compare, Model

FLOAT, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64

# ONNX Runtime's own result is as far from the formula's in float64, which cancels near 0.5.
PROBIT_ROUNDING = 3e-5


def probabilities() -> Array:
    """Not too near to 0, 0.5 and 1."""
    rng = np.random.default_rng(1)
    return np.asarray(0.5 + rng.choice((-1, 1), (50, 4)) * rng.uniform(0.02, 0.48, (50, 4)), np.float32)


@pytest.mark.parametrize("transform", ["SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"])
def test_transforms_of_two_targets(compare: Compare, classical: Model, build: Build, transform: str) -> None:
    identity = [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]
    model = classical("LinearRegressor", FLOAT, version=1, coefficients=identity, targets=2, post_transform=transform)
    rows = probabilities()
    if transform == "SOFTMAX_ZERO":
        rows[0, 0] = 0
    compare(model, rows, PROBIT_ROUNDING if transform == "PROBIT" else 1e-6)
    build(model)


def test_probit_of_one_target(compare: Compare, classical: Model) -> None:
    model = classical("LinearRegressor", FLOAT, version=1, coefficients=[1.0, 0.0, 0.0, 0.0], post_transform="PROBIT")
    compare(model, probabilities(), PROBIT_ROUNDING)


def test_probit_of_one_score_for_two_classes_is_refused(classical: Model) -> None:
    model = classical(
        "LinearClassifier", INT64, FLOAT, version=1, coefficients=[1.0] * 4, intercepts=[0.0],
        classlabels_ints=[0, 1], post_transform="PROBIT",
    )  # fmt: skip
    with pytest.raises(Unsupported, match="PROBIT of one score says nothing of the other class"):
        TensorOperatorsFromOnnx(model)()


def test_unknown_transforms_are_refused(classical: Model) -> None:
    model = classical("LinearRegressor", FLOAT, version=1, coefficients=[1.0] * 8, targets=2, post_transform="CUBE")
    with pytest.raises(Unsupported, match='"CUBE" is none that ONNX defines'):
        TensorOperatorsFromOnnx(model)()


def test_labels_of_one_score() -> None:
    assert Labels((4, 8)).binary() == Labels((4, 8))
    assert Labels((4,)).binary() == Labels((0, 1))
    assert Labels((), ("a",)).binary() == Labels((0, 1), ("0", "1"))

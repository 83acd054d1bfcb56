from __future__ import annotations

import numpy as np
import onnx
import pytest

from tests.converters.to_onnx.lowering.conftest import Build, Compare, Model

FLOAT, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
ROWS = np.random.default_rng(1).normal(size=(60, 4)).astype(np.float32)
WEIGHTS = np.random.default_rng(2).normal(size=12).tolist()


@pytest.mark.parametrize("transform", ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"])
@pytest.mark.parametrize("classes", [1, 2, 3])
def test_classifier(compare: Compare, classical: Model, transform: str, classes: int) -> None:
    model = classical(
        "LinearClassifier", INT64, FLOAT, version=1, coefficients=WEIGHTS[: 4 * classes], post_transform=transform,
        intercepts=[0.1, -0.2, 0.3][:classes], classlabels_ints=[5, 2, 9][: max(classes, 2)],
    )  # fmt: skip
    compare(model, ROWS)


@pytest.mark.parametrize("transform", ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"])
@pytest.mark.parametrize("targets", [1, 3])
def test_regressor(compare: Compare, classical: Model, transform: str, targets: int) -> None:
    model = classical(
        "LinearRegressor", FLOAT, version=1, coefficients=WEIGHTS[: 4 * targets], targets=targets,
        intercepts=[0.1, -0.2, 0.3][:targets], post_transform=transform,
    )  # fmt: skip
    compare(model, ROWS)


def test_regressor_without_intercepts(compare: Compare, classical: Model) -> None:
    compare(classical("LinearRegressor", FLOAT, version=1, coefficients=WEIGHTS[:4]), ROWS)


def test_engine_in_full_precision_even_for_turing(build: Build, classical: Model) -> None:
    build(classical("LinearRegressor", FLOAT, version=1, coefficients=WEIGHTS, targets=3, intercepts=[1.0, 2.0, 3.0]))

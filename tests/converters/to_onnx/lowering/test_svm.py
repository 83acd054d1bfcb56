from __future__ import annotations

import numpy as np
import onnx
import pytest

from converters.errors import Unsupported
from converters.to_onnx.lowering.tensor_operators import TensorOperatorsFromOnnx
from tests.converters.to_onnx.lowering.conftest import Build, Compare, Model

FLOAT, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
ROWS = np.random.default_rng(1).normal(size=(60, 4)).astype(np.float32)
KERNELS = {"LINEAR": [0.3, 0.0, 3.0], "POLY": [0.3, 0.5, 2.0], "RBF": [0.3, 0.0, 3.0], "SIGMOID": [0.3, 0.1, 3.0]}


def numbers(count: int) -> list[float]:
    return [float(value) for value in np.random.default_rng(count).normal(size=count)]


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("one_class", [0, 1])
def test_regressor(compare: Compare, classical: Model, kernel: str, one_class: int) -> None:
    model = classical(
        "SVMRegressor", FLOAT, version=1, kernel_type=kernel, kernel_params=KERNELS[kernel], n_supports=6, rho=[0.2],
        coefficients=numbers(6), support_vectors=numbers(24), one_class=one_class,
    )  # fmt: skip
    compare(model, ROWS)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC", "SOFTMAX"])
def test_classifier(
    compare: Compare, classical: Model, build: Build, kernel: str, classes: int, transform: str
) -> None:
    model = classical(
        "SVMClassifier", INT64, FLOAT, version=1, kernel_type=kernel, kernel_params=KERNELS[kernel],
        vectors_per_class=[2, 3, 1][:classes], support_vectors=numbers(4 * sum([2, 3, 1][:classes])),
        coefficients=numbers((classes - 1) * sum([2, 3, 1][:classes])), rho=[0.1, -0.2, 0.3][: 2 * classes - 3],
        classlabels_ints=[4, 7, 5][:classes], post_transform=transform,
    )  # fmt: skip
    compare(model, ROWS)
    if (kernel, classes, transform) == ("RBF", 3, "NONE"):
        build(model)


def test_probabilities_are_refused(classical: Model) -> None:
    model = classical(
        "SVMClassifier", INT64, FLOAT, version=1, vectors_per_class=[1, 1], support_vectors=numbers(8),
        coefficients=numbers(2), rho=[0.1], classlabels_ints=[0, 1], prob_a=[1.0], prob_b=[0.0],
    )  # fmt: skip
    with pytest.raises(Unsupported, match="train it with `probability=False`"):
        TensorOperatorsFromOnnx(model)()

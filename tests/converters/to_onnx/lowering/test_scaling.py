from __future__ import annotations

import numpy as np
import onnx
import pytest

from converters.arrays import Array
from tests.converters.to_onnx.lowering.conftest import Build, Compare, Model

FLOAT = onnx.TensorProto.FLOAT


@pytest.fixture(scope="module")
def rows() -> Array:
    values = np.random.default_rng(3).normal(size=(40, 4)).astype(np.float32)
    values[0] = 0
    return values


@pytest.mark.parametrize("length", [1, 4])
def test_scaler(compare: Compare, classical: Model, rows: Array, length: int) -> None:
    offset, scale = [0.5, -1.0, 3.0, 0.1][:length], [2.0, 0.3, -1.0, 7.0][:length]
    compare(classical("Scaler", FLOAT, version=1, offset=offset, scale=scale), rows)


@pytest.mark.parametrize("norm", ["MAX", "L1", "L2"])
def test_normalizer(compare: Compare, classical: Model, rows: Array, norm: str) -> None:
    (given,) = compare(classical("Normalizer", FLOAT, version=1, norm=norm), rows)
    assert given[0].tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("replaced", [float("nan"), 1.0])
@pytest.mark.parametrize("length", [1, 4])
def test_imputer(compare: Compare, classical: Model, replaced: float, length: int) -> None:
    rows = np.random.default_rng(4).choice(np.array([np.nan, 1.0, 2.0], np.float32), size=(40, 4))
    values = [5.0, 6.0, 7.0, 8.0][:length]
    model = classical("Imputer", FLOAT, version=1, imputed_value_floats=values, replaced_value_float=replaced)
    compare(model, rows)


def test_imputer_of_whole_numbers(compare: Compare, classical: Model) -> None:
    kind = onnx.TensorProto.INT64
    rows = np.random.default_rng(5).integers(-2, 3, (40, 4))
    model = classical("Imputer", kind, version=1, kind=kind, imputed_value_int64s=[9], replaced_value_int64=-1)
    model.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("output0", kind, ["batch", 4]))
    (given,) = compare(model, rows)
    assert -1 not in given


def test_binarizer(compare: Compare, classical: Model, awkward_rows: Array) -> None:
    # ONNX Runtime fails where a value is missing.
    rows = np.nan_to_num(awkward_rows, nan=0.5, posinf=np.inf, neginf=-np.inf)
    compare(classical("Binarizer", FLOAT, version=1, threshold=0.5), rows)


@pytest.mark.parametrize("norm", ["MAX", "L1", "L2"])
def test_engines(build: Build, classical: Model, norm: str) -> None:
    build(classical("Normalizer", FLOAT, version=1, norm=norm))
    build(classical("Imputer", FLOAT, version=1, imputed_value_floats=[1.0], replaced_value_float=float("nan")))

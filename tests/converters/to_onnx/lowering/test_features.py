from __future__ import annotations

import numpy as np
import onnx
import pytest

from converters.arrays import Array
from converters.errors import Unsupported
from converters.to_onnx.lowering.labels import class_labels
from converters.to_onnx.lowering.tensor_operators import TensorOperatorsFromOnnx
from tests.converters.to_onnx.lowering.conftest import Build, Compare, Model

FLOAT, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64


def test_extractor(compare: Compare, classical: Model, build: Build) -> None:
    rows = np.arange(12, dtype=np.float32).reshape(3, 4)
    model = classical("ArrayFeatureExtractor", FLOAT, version=1, constants=[np.array([2, 0])])
    (given,) = compare(model, rows)
    assert given.tolist() == [[2, 0], [6, 4], [10, 8]]
    build(model)


def test_vectorizer(compare: Compare, classical: Model) -> None:
    rows = np.arange(8, dtype=np.float32).reshape(2, 4)
    model = classical("FeatureVectorizer", FLOAT, version=1, inputdimensions=[4])
    (given,) = compare(model, rows)
    assert given.tolist() == rows.tolist()


def test_encoder(compare: Compare, classical: Model, build: Build) -> None:
    model = classical("OneHotEncoder", FLOAT, version=1, kind=INT64, cats_int64s=[3, 1, 7], zeros=1)
    model.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("output0", FLOAT, ["batch", 4, 3]))
    (given,) = compare(model, np.array([[3, 1, 7, 5]]))
    assert given.tolist() == [[[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]]
    build(model)


def test_encoder_of_text_is_refused(classical: Model) -> None:
    model = classical("OneHotEncoder", FLOAT, version=1, kind=onnx.TensorProto.STRING, cats_strings=["a", "b"])
    with pytest.raises(Unsupported, match=r"node it \(OneHotEncoder\): its categories are text"):
        TensorOperatorsFromOnnx(model)()


@pytest.mark.parametrize("default", [{}, {"default_float": 9.0}])
def test_label_encoder_of_whole_numbers(
    compare: Compare, classical: Model, build: Build, default: dict[str, float]
) -> None:
    model = classical(
        "LabelEncoder", FLOAT, version=2, kind=INT64, keys_int64s=[7, 2, 5], values_floats=[0.5, 1.5, 2.5], **default
    )
    model.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("output0", FLOAT, ["batch", 4]))
    (given,) = compare(model, np.array([[2, 7, 5, 6]]))
    assert given.tolist() == [[1.5, 0.5, 2.5, default.get("default_float", 0.0)]]
    build(model)


def test_label_encoder_of_numbers(compare: Compare, classical: Model) -> None:
    model = classical("LabelEncoder", INT64, version=2, keys_floats=[1.0, 2.5], values_int64s=[4, 6])
    model.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("output0", INT64, ["batch", 4]))
    (given,) = compare(model, np.array([[1, np.nan, 2, 2.5]], np.float32))
    assert given.tolist() == [[4, -1, -1, 6]]
    with pytest.raises(Unsupported, match="one of its keys is NaN"):
        TensorOperatorsFromOnnx(
            classical("LabelEncoder", INT64, version=2, keys_floats=[float("nan")], values_int64s=[4])
        )()


def test_label_encoder_and_text(classical: Model) -> None:
    text = onnx.TensorProto.STRING
    named = classical("LabelEncoder", text, version=2, kind=INT64, keys_int64s=[0, 1], values_strings=["no", "yes"])
    assert class_labels(TensorOperatorsFromOnnx(named)()) == {"output0": ("no", "yes")}
    with pytest.raises(Unsupported, match="it gives text"):
        TensorOperatorsFromOnnx(
            classical("LabelEncoder", text, version=2, kind=INT64, keys_int64s=[3, 1], values_strings=["no", "yes"])
        )()
    with pytest.raises(Unsupported, match="it translates text or float64"):
        TensorOperatorsFromOnnx(
            classical("LabelEncoder", FLOAT, version=2, kind=text, keys_strings=["a"], values_floats=[1.0])
        )()


def test_zipmap_becomes_a_tensor(compare: Compare, classical: Model, build: Build) -> None:
    model = classical("ZipMap", FLOAT, features=3, version=1, classlabels_int64s=[4, 5, 6])
    key = onnx.helper.make_map_type_proto(INT64, onnx.helper.make_tensor_type_proto(FLOAT, []))
    kind = onnx.helper.make_sequence_type_proto(key)
    model.graph.output[0].CopyFrom(onnx.helper.make_value_info("output0", kind))
    rows: Array = np.arange(6, dtype=np.float32).reshape(2, 3)
    (given,) = compare(model, rows)
    assert given.tolist() == rows.tolist()
    output = TensorOperatorsFromOnnx(model)().graph.output[0].type.tensor_type
    assert (output.elem_type, output.shape.dim[1].dim_value) == (FLOAT, 3)
    build(model)

import json
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.datatypes import NUMPY_NAMES
from gateway.repository.description import Description, Hints, Tensor
from gateway.repository.sample import as_json, candidates, sample_inputs


def described(*inputs: Tensor, batches: bool = True) -> Description:
    return Description("onnx", "onnxruntime", "onnx", inputs, (), batches, "model.onnx")


def first(*inputs: Tensor, batches: bool = True) -> dict[str, np.ndarray[Any, Any]]:
    return sample_inputs(described(*inputs, batches=batches), Hints())


@pytest.mark.parametrize("datatype", NUMPY_NAMES)
def test_every_datatype_has_values_and_they_are_always_the_same(datatype: str) -> None:
    array = first(Tensor("x", datatype, (-1, 3)))["x"]
    assert (array.shape, array.dtype) == ((2, 3), np.dtype(NUMPY_NAMES[datatype]))
    assert (array == first(Tensor("x", datatype, (-1, 3)))["x"]).all()


def test_values_are_of_the_kind_that_models_take() -> None:
    floats = first(Tensor("x", "FP32", (-1, 1000)))["x"]
    assert 0 <= floats.min() < floats.max() < 1.001
    assert first(Tensor("x", "BF16", (-1, 1000)))["x"].max() <= 0x3F80
    assert set(first(Tensor("x", "INT64", (-1, 100)))["x"].flat) == {0, 1, 2, 3}
    assert first(Tensor("x", "BOOL", (3,)))["x"].all()
    assert first(Tensor("x", "BYTES", (-1,)))["x"].tolist() == [b"text", b"text"]
    assert first(Tensor("x", "UINT8", (-1, 9, 9, 3)))["x"].max() > 200


def test_scalars_stay_scalars() -> None:
    for datatype in NUMPY_NAMES:
        assert first(Tensor("x", datatype, ()), batches=False)["x"].shape == ()


@pytest.mark.parametrize(
    ("tensor", "batches", "shape"),
    [
        (Tensor("pixels", "FP32", (-1, 3, -1, -1)), True, (2, 3, 224, 224)),
        (Tensor("pixels", "UINT8", (-1, -1, -1, 3)), False, (1, 224, 224, 3)),
        (Tensor("pixels", "FP32", (1, 1, 28, -1)), False, (1, 1, 28, 224)),
        (Tensor("serving_default_audio:0", "FP32", (-1, -1, 1)), True, (2, 16000, 1)),
        (Tensor("inputWaveform", "FP32", (-1,)), False, (16000,)),
        (Tensor("x", "FP32", (-1, -1)), True, (2, 8)),
        (Tensor("x", "FP32", (-1, -1)), False, (8, 8)),
    ],
)
def test_sizes_are_those_that_names_and_shapes_suggest(tensor: Tensor, batches: bool, shape: tuple[int, ...]) -> None:
    assert first(tensor, batches=batches)[tensor.name].shape == shape


def test_token_models_get_tokens_of_one_length() -> None:
    names = ("input_ids", "attention_mask", "token_type_ids", "position_ids")
    arrays = first(*(Tensor(name, "INT64", (-1, -1)) for name in names))
    assert {array.shape for array in arrays.values()} == {(2, 8)}
    assert arrays["attention_mask"].all()
    assert not arrays["token_type_ids"].any()
    assert arrays["position_ids"].tolist() == [list(range(8))] * 2


def test_numbers_with_a_meaning_have_it() -> None:
    audio = Tensor("audio", "FP32", (-1, -1))
    arrays = first(audio, Tensor("audio_lengths", "INT64", (-1,)), Tensor("sample_rate", "INT32", (-1, 1)))
    assert arrays["audio_lengths"].tolist() == [16000, 16000]
    assert arrays["sample_rate"].tolist() == [[16000], [16000]]
    assert first(Tensor("sr", "INT64", ()), batches=False)["sr"] == 16000
    assert first(Tensor("length", "INT8", (-1,)))["length"].tolist() == [8, 8]


def test_other_guesses_follow_none_twice_and_none_too_large() -> None:
    tensor = Tensor("x", "FP32", (-1, -1, -1, 5))
    guesses = list(candidates(described(tensor)))
    shapes = [guess["x"].shape for guess in guesses]
    assert shapes[:3] == [(2, 8, 8, 5), (2, 1, 1, 5), (2, 16, 16, 5)]
    assert max(np.prod(shape) for shape in shapes) <= 2**22
    assert len(set(shapes[:-2])) == len(shapes) - 2
    assert [set(guess["x"].flat) for guess in guesses[-2:]] == [{0.0}, {1.0}]


def test_a_model_of_fixed_sizes_is_tried_with_three_kinds_of_values() -> None:
    guesses = list(candidates(described(Tensor("x", "INT64", (1, 4)), batches=False)))
    assert [len(guesses), guesses[1]["x"].max(), guesses[2]["x"].min()] == [3, 0, 1]


def test_a_model_that_reads_numbers_from_texts_is_tried_with_numbers() -> None:
    texts = [guess["x"].tolist() for guess in candidates(described(Tensor("x", "BYTES", (1,)), batches=False))]
    assert texts == [[b"text"], [b"0"], [b"1"]]


def test_all_dimensions_of_any_size_agree_in_the_later_guesses() -> None:
    inputs = (Tensor("input", "FP32", (-1, -1)), Tensor("state", "FP32", (2, -1, 128)))
    for guess in islice(candidates(described(*inputs, batches=False)), 5):
        assert guess["input"].shape[0] == guess["state"].shape[1]


def test_a_model_larger_than_all_limits_is_tried_at_least_once() -> None:
    guesses = candidates(described(Tensor("x", "UINT8", (-1, 2**22))))
    assert next(guesses)["x"].shape == (2, 2**22)


def test_optional_inputs_are_left_out_of_guesses() -> None:
    assert list(first(Tensor("a", "FP32", (1,)), Tensor("b", "FP32", (1,), optional=True), batches=False)) == ["a"]
    assert list(first(Tensor("b", "FP32", (1,), optional=True), batches=False)) == ["b"]


def test_a_sample_that_somebody_gave_goes_before_guesses(tmp_path: Path) -> None:
    np.savez(tmp_path / "sample.npz", x=np.array([[1.0, 2.0]]))
    hints = Hints(sample=tmp_path / "sample.npz")
    assert sample_inputs(described(Tensor("x", "FP32", (-1, 2))), hints)["x"].tolist() == [[1, 2]]
    with pytest.raises(ModelRefused, match=r"sample\.npz: array 'x' has the shape \[1, 2\]"):
        sample_inputs(described(Tensor("x", "FP32", (-1, 3))), hints)


def test_a_request_has_the_samples_values() -> None:
    model = described(
        Tensor("f", "FP32", (-1, 2)),
        Tensor("d", "FP64", (-1, 1)),
        Tensor("i", "INT8", (-1,)),
        Tensor("b", "BOOL", (-1, 1)),
    )
    inputs = {
        "f": np.array([[0.1, 1e-7]], np.float32),
        "d": np.array([[0.1]]),
        "i": np.array([3], np.int8),
        "b": np.array([[True]]),
    }
    entries = as_json(model, inputs)
    assert entries == (
        {"name": "f", "datatype": "FP32", "shape": [1, 2], "data": [0.1, 1e-07]},
        {"name": "d", "datatype": "FP64", "shape": [1, 1], "data": [0.1]},
        {"name": "i", "datatype": "INT8", "shape": [1, 1], "data": [3]},
        {"name": "b", "datatype": "BOOL", "shape": [1, 1], "data": [True]},
    )
    assert json.loads(json.dumps(entries)) == list(entries)
    assert (np.array(entries[0]["data"], np.float32) == inputs["f"]).all()


def test_texts_travel_as_text_and_scalars_as_one_element() -> None:
    model = described(Tensor("t", "BYTES", (-1,)), Tensor("k", "INT64", ()), batches=False)
    entries = as_json(model, {"t": np.array(["ü".encode(), "x"], object), "k": np.array(7)})
    assert [entry["data"] for entry in entries] == [["ü", "x"], [7]]
    assert entries[1]["shape"] == [1]


def test_sixteen_bit_numbers_are_given_as_decimals() -> None:
    model = described(Tensor("h", "FP16", (-1, 2)), Tensor("b", "BF16", (-1, 2)))
    inputs = {"h": np.array([[0.1, 2]], np.float16), "b": np.array([[0x3F00, 0xC000]], np.uint16)}
    assert [entry["data"] for entry in as_json(model, inputs)] == [[0.1, 2], [0.5, -2]]


def test_numbers_that_json_does_not_know_are_zero() -> None:
    model = described(Tensor("x", "FP32", (-1, 3)), Tensor("d", "FP64", (-1, 1)))
    inputs = {"x": np.array([[np.nan, 0.1, -np.inf]], np.float32), "d": np.array([[np.inf]])}
    assert [entry["data"] for entry in as_json(model, inputs)] == [[0, 0.1, 0], [0]]


def test_bytes_that_are_no_text_make_no_request() -> None:
    model = described(Tensor("t", "BYTES", (-1, 1)), Tensor("x", "INT8", (-1, 1)))
    inputs: dict[str, np.ndarray[Any, Any]] = {"t": np.array([[b"\xff"]], object), "x": np.ones((1, 1), np.int8)}
    assert as_json(model, inputs) == ()
    assert [entry["shape"] for entry in as_json(model, inputs, compact=True)] == [[1, 1], [1, 1]]


def test_a_compact_request_has_shapes_alone() -> None:
    assert as_json(described(Tensor("x", "FP32", (-1, 1))), {"x": np.ones((2, 1), np.float32)}, compact=True) == (
        {"name": "x", "datatype": "FP32", "shape": [2, 1]},
    )


def test_a_request_is_one_that_the_configuration_allows() -> None:
    model, inputs = described(Tensor("x", "INT64", (-1,))), {"x": np.arange(100)}
    shapes = {size: as_json(model, inputs, max_batch_size=size)[0]["shape"] for size in (None, 64, 1, 0)}
    assert shapes == {None: [100, 1], 64: [64, 1], 1: [1, 1], 0: [100]}
    assert as_json(model, inputs, max_batch_size=2)[0]["data"] == [0, 1]

from typing import Any

import pytest

from backends.common.config import parse_config
from backends.common.errors import LoadError
from backends.common.signature import Signature, TensorSpec, complete, is_complete

MODEL = Signature(
    (TensorSpec("image", "TYPE_FP32", (-1, 3, 8)), TensorSpec("bias", "TYPE_FP32", (-1, 1), optional=True)),
    (TensorSpec("label", "TYPE_INT64", (-1,)), TensorSpec("score", "TYPE_FP32", (-1, -1))),
)
IMAGE: dict[str, Any] = {"name": "image", "data_type": "TYPE_FP32", "dims": [3, 8]}
LABEL: dict[str, Any] = {"name": "label", "data_type": "TYPE_INT64", "dims": [1], "reshape": {"shape": []}}


def raw(**keys: Any) -> dict[str, Any]:
    return {"name": "m", "max_batch_size": 4, "input": [IMAGE], "output": [LABEL], **keys}


def test_a_configuration_may_leave_out_outputs_and_optional_inputs() -> None:
    MODEL.check(parse_config(raw()))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"input": [{**IMAGE, "name": "imge"}]},
            "input 'imge' of config.pbtxt is not in the model; did you mean 'image'",
        ),
        ({"output": [{**LABEL, "name": "q"}]}, "output 'q' .* is not in the model; it has 'label', 'score'"),
        (
            {"input": [{**IMAGE, "data_type": "TYPE_FP16"}]},
            "'data_type' is TYPE_FP16 in config.pbtxt, but TYPE_FP32 in",
        ),
        ({"input": [{**IMAGE, "dims": [3, 9]}]}, r"input 'image': 'dims' give the shape \[-1, 3, 9\] .* \[-1, 3, 8\]"),
        ({"input": [{**IMAGE, "dims": [3, -1]}]}, r"the shape \[-1, 3, -1\]"),
        ({"input": [{**IMAGE, "dims": [3]}]}, r"the shape \[-1, 3\] \(its first dimension is the batch"),
        ({"input": [{**IMAGE, "optional": True}]}, "'optional' is true in config.pbtxt, but the model has no default"),
        ({"input": [{"name": "bias", "data_type": "TYPE_FP32", "dims": [1]}]}, "input 'image' of the model is missing"),
    ],
)
def test_what_disagrees_with_the_model_is_named(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(LoadError, match=message):
        MODEL.check(parse_config(raw(**keys)))


def test_batching_needs_a_batch_dimension_in_the_model() -> None:
    fixed = Signature((TensorSpec("image", "TYPE_FP32", (1, 3, 8)),), MODEL.outputs)
    with pytest.raises(LoadError, match=r"'max_batch_size' is 4, but the model's shape \[1, 3, 8\] has no batch"):
        fixed.check(parse_config(raw()))


def test_a_shape_that_the_model_does_not_tell_is_taken_from_the_configuration() -> None:
    Signature((TensorSpec("image", "TYPE_FP32", None),), MODEL.outputs).check(parse_config(raw()))


def test_complete_only_when_every_tensor_has_a_datatype_and_dims() -> None:
    assert is_complete(raw())
    assert not is_complete(raw(input=[]))
    assert not is_complete(raw(output=[{"name": "label"}]))
    assert not is_complete(raw(output=[{**LABEL, "data_type": "TYPE_INVALID"}]))


def test_an_empty_configuration_gets_everything_from_the_model() -> None:
    assert complete({"name": "m", "max_batch_size": 0, "input": [], "output": []}, MODEL) == {
        "max_batch_size": 4,
        "input": [IMAGE],
        "output": [LABEL, {"name": "score", "data_type": "TYPE_FP32", "dims": [-1]}],
        "dynamic_batching": {},
    }


def test_what_the_configuration_says_stays() -> None:
    given = raw(max_batch_size=16, input=[], output=[{"name": "score", "label_filename": "labels.txt"}])
    completed = complete({**given, "sequence_batching": {}}, MODEL)
    assert completed["max_batch_size"] == 16
    assert completed["output"] == [
        {"name": "score", "label_filename": "labels.txt", "data_type": "TYPE_FP32", "dims": [-1]}
    ]
    assert "dynamic_batching" not in completed


def test_a_model_that_cannot_batch_gets_its_whole_shapes() -> None:
    fixed = Signature((TensorSpec("x", "TYPE_FP32", (2, 3)),), (TensorSpec("y", "TYPE_FP32", ()),))
    completed = complete({"name": "m", "input": [], "output": []}, fixed)
    assert completed["max_batch_size"] == 0
    assert completed["input"][0]["dims"] == [2, 3]
    assert completed["output"][0] == {"name": "y", "data_type": "TYPE_FP32", "dims": [1]}
    fixed.check(parse_config({"name": "m", **completed}))
    with pytest.raises(LoadError, match="'max_batch_size' is 8, but not every input and output"):
        complete({"name": "m", "max_batch_size": 8, "input": [], "output": []}, fixed)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            TensorSpec("p", "seq(map(int64,tensor(float)))", (-1,)),
            "output 'p' of the model is seq.*Triton cannot carry",
        ),
        (TensorSpec("p", "TYPE_FP32", None), "the model does not tell the shape of output 'p'; give its 'dims'"),
    ],
)
def test_what_cannot_be_completed_is_named(spec: TensorSpec, message: str) -> None:
    with pytest.raises(LoadError, match=message):
        complete({"name": "m", "input": [], "output": []}, Signature(MODEL.inputs, (spec,)))


def test_a_misspelt_name_is_refused_rather_than_added() -> None:
    with pytest.raises(LoadError, match=r"output 'scores' .* did you mean 'score'"):
        complete({"name": "m", "input": [], "output": [{"name": "scores"}]}, MODEL)

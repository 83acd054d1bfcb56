from typing import Any

import pytest

from backends.common.config import Parameters, TensorConfig, parse_config
from backends.common.errors import LoadError

TENSOR = {"name": "x", "data_type": "TYPE_FP32", "dims": [3]}


def raw(**keys: Any) -> dict[str, Any]:
    return {"name": "m", "max_batch_size": 8, "input": [TENSOR], "output": [{**TENSOR, "name": "y"}], **keys}


def test_tensors_and_batching() -> None:
    config = parse_config(raw())
    assert config.inputs == (TensorConfig("x", "TYPE_FP32", (3,)),)
    assert config.batched
    assert config.full_shape(config.inputs[0]) == (-1, 3)


def test_without_a_batch_dimension_the_shape_is_the_dims() -> None:
    config = parse_config(raw(max_batch_size=0))
    assert config.full_shape(config.inputs[0]) == (3,)


def test_a_reshape_is_what_the_framework_sees() -> None:
    config = parse_config(raw(input=[{**TENSOR, "dims": [1], "reshape": {"shape": []}}]))
    assert config.full_shape(config.inputs[0]) == (-1,)


def test_all_instances_count() -> None:
    assert parse_config(raw(instance_group=[{"count": 2}, {"count": 1}])).instance_count == 3


@pytest.mark.parametrize(
    ("control", "datatype"),
    [
        ({"kind": "CONTROL_SEQUENCE_START", "fp32_false_true": [0, 1]}, "TYPE_FP32"),
        ({"kind": "CONTROL_SEQUENCE_READY", "bool_false_true": [False, True]}, "TYPE_BOOL"),
        ({"kind": "CONTROL_SEQUENCE_CORRID", "data_type": "TYPE_UINT64"}, "TYPE_UINT64"),
    ],
)
def test_inputs_that_the_sequence_batcher_adds(control: dict[str, Any], datatype: str) -> None:
    config = parse_config(raw(sequence_batching={"control_input": [{"name": "START", "control": [control]}]}))
    assert config.inputs[1] == TensorConfig("START", datatype, (1,), control=True)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"batch_input": [{}]}, "'batch_input' is not supported"),
        ({"batch_output": [{}]}, "'batch_output' is not supported"),
        ({"sequence_batching": {"state": [{}]}}, r"'sequence_batching.state' \(implicit state\) is not supported"),
        ({"model_transaction_policy": {"decoupled": True}}, "decoupled' is not supported"),
        ({"input": [{**TENSOR, "is_shape_tensor": True}]}, "input 'x': 'is_shape_tensor' is not supported"),
        ({"output": [{**TENSOR, "data_type": "TYPE_FP8"}]}, "'TYPE_FP8' is no datatype"),
    ],
)
def test_what_cannot_be_served_is_refused_by_its_key(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(LoadError, match=message):
        parse_config(raw(**keys))


def test_parameters_come_from_tritons_json() -> None:
    config = parse_config(raw(parameters={"THREADS": {"string_value": " 4 "}}))
    assert config.parameters.integer("THREADS", 1) == 4
    assert config.parameters.integer("OTHER", 1) == 1
    assert config.parameters.text("OTHER") is None


@pytest.mark.parametrize(("text", "value"), [("true", True), ("On", True), ("1", True), ("no", False), ("0", False)])
def test_booleans_in_any_of_tritons_spellings(text: str, value: bool) -> None:
    assert Parameters({"KEY": text}).boolean("KEY") is value


def test_a_boolean_that_is_not_given_is_neither() -> None:
    assert Parameters({}).boolean("KEY") is None


def test_a_wrong_value_is_named() -> None:
    parameters = Parameters({"COUNT": "-1", "FLAG": "maybe"})
    with pytest.raises(LoadError, match="parameter 'COUNT' must be a number of 0 or more, not '-1'"):
        parameters.integer("COUNT", 0)
    with pytest.raises(LoadError, match="parameter 'FLAG' must be a boolean such as 'true' or 'false', not 'maybe'"):
        parameters.boolean("FLAG")


def test_keys_by_prefix() -> None:
    assert Parameters({"session.a": "1", "b": "2"}).starting_with("session.") == {"session.a": "1"}

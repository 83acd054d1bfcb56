from typing import Any

import pytest

from backends.common.errors import LoadError, RequestError
from backends.pytorch.naming import Argument, bind_inputs, bind_outputs, pick_outputs

X = Argument("x", "Tensor")
RATE = Argument("rate", "int")
BIAS = Argument("bias", "Tensor", required=False)


def test_names_of_arguments_in_any_order() -> None:
    assert bind_inputs(["rate", "x"], [X, RATE]) == {"rate": RATE, "x": X}


def test_indices() -> None:
    assert bind_inputs(["INPUT__1", "INPUT__0"], [X, RATE]) == {"INPUT__1": RATE, "INPUT__0": X}


def test_else_the_order_of_the_configuration() -> None:
    assert bind_inputs(["audio", "sampling_rate"], [X, RATE, BIAS]) == {"audio": X, "sampling_rate": RATE}


def test_an_argument_with_a_default_needs_no_input() -> None:
    assert bind_inputs(["x"], [X, BIAS]) == {"x": X}


def test_a_single_dictionary_takes_every_input() -> None:
    features = Argument("features", "Dict[str, Tensor]")
    assert bind_inputs(["age", "height"], [features]) == {"age": features, "height": features}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["x"], r"config.pbtxt has no input for 'rate' of forward\(x, rate, bias\)"),
        (["INPUT__0", "INPUT__7"], r"'INPUT__7' stands for argument 7, but forward\(x, rate, bias\) takes 3"),
        (["INPUT__0", "OTHER__0"], "inputs 'INPUT__0' and 'OTHER__0' both name argument 'x'"),
        (["a", "b", "c", "d"], "input 'd' stands for argument 3"),
    ],
)
def test_inputs_that_fit_no_argument(names: list[str], message: str) -> None:
    with pytest.raises(LoadError, match=message):
        bind_inputs(names, [X, RATE, BIAS])


def test_outputs_by_index_or_else_by_order() -> None:
    assert bind_outputs(["OUTPUT__1", "SCORES__0"]) == {"OUTPUT__1": 1, "SCORES__0": 0}
    assert bind_outputs(["probability", "OUTPUT__7"]) == {"probability": 0, "OUTPUT__7": 1}


class Tensor:
    """Anything that is told to be a tensor."""


A, B = Tensor(), Tensor()


def is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor)


@pytest.mark.parametrize(
    ("result", "wanted", "picked"),
    [
        (A, {"y": 0}, {"y": A}),
        ((A, B), {"y": 1}, {"y": B}),
        ([A, B], {"y": 1, "z": 0}, {"y": B, "z": A}),
        (["one", "two"], {"words": 0}, {"words": ["one", "two"]}),
        ((A, ["one"]), {"words": 1}, {"words": ["one"]}),
        ({"y": A, "z": B}, {"z": 0}, {"z": B}),
    ],
)
def test_the_wanted_results(result: Any, wanted: dict[str, int], picked: dict[str, Any]) -> None:
    assert pick_outputs(result, wanted, is_tensor) == picked


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ((A, B), "output 'y' is result 2, but the model returned 2"),
        ({"z": A}, "the model returned 'z', but no output 'y'"),
        (3.5, "the model returned float; it must return tensors"),
    ],
)
def test_a_result_that_is_not_there(result: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        pick_outputs(result, {"y": 2}, is_tensor)

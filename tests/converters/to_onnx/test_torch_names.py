import numpy as np
import pytest
import torch

from converters.errors import BadData, ConfigError, Unsupported
from converters.to_onnx.torch_names import chosen, dynamic_axes, flat, ordered, tensors

ONE, TWO = torch.ones(1), torch.zeros(2)


@pytest.mark.parametrize(
    ("result", "names"),
    [
        (ONE, ["output"]),
        ((ONE,), ["output"]),
        ((ONE, TWO), ["output_0", "output_1"]),
        ([ONE, (TWO, ONE)], ["output_0", "output_1", "output_2"]),
        ({"b": ONE, "a": TWO}, ["b", "a"]),
        ({"a": (ONE, TWO)}, ["output_0", "output_1"]),
    ],
)
def test_outputs_are_named_by_what_is_returned(result: object, names: list[str]) -> None:
    leaves, found = flat(result)
    assert found == names
    assert len(leaves) == len(names)


def test_what_is_no_tensor_is_refused() -> None:
    with pytest.raises(Unsupported, match="result 1 of the model is a int"):
        flat((ONE, 3))


def test_users_may_name_all_outputs_or_none() -> None:
    assert chosen(["output"], ()) == ["output"]
    assert chosen(["output"], ("scores",)) == ["scores"]
    with pytest.raises(ConfigError, match="2 output names are given, and the model has 1 outputs"):
        chosen(["output"], ("a", "b"))


def test_a_sample_is_put_into_the_arguments_order() -> None:
    a, b = np.ones(1), np.zeros(1)
    assert list(ordered({"b": b, "a": a}, ["a", "b", "c"], step="here")) == ["a", "b"]
    with pytest.raises(BadData, match="there is no sample of its inputs \\('a', 'b'\\)"):
        ordered(None, ["a", "b"], step="here")
    with pytest.raises(
        BadData, match="'c', which is no argument of the model; name the inputs like the arguments: 'a'"
    ):
        ordered({"c": a}, ["a"], step="here")


def test_the_batch_is_dynamic_and_scalars_have_none() -> None:
    sample = {"x": np.ones((2, 3)), "rate": np.ones(())}
    assert dynamic_axes(sample, {"x": {1: "length"}}, batch="batch") == {"x": {0: "batch", 1: "length"}, "rate": {}}
    for wrong in ({"x": {2: "z"}}, {"y": {0: "z"}}):
        with pytest.raises(ConfigError, match="'x' with 2 axes"):
            dynamic_axes(sample, wrong, batch="batch")


def test_tensors_do_not_share_memory_with_the_sample() -> None:
    array = np.ones(2, np.float32)
    array.flags.writeable = False
    tensor = tensors({"x": array})["x"]
    tensor += 1
    assert array.tolist() == [1, 1]

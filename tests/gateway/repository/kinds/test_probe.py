from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.description import Tensor
from gateway.repository.kinds.probe import Probed, guesses, probe

Array = np.ndarray[Any, Any]

X = Tensor("x", "FP32", (-1, 3))


def model(function: Callable[[Array], Array]) -> Callable[[Mapping[str, Array]], dict[str, Array]]:
    return lambda arrays: {"y": function(arrays["x"])}


def tried(function: Callable[[Array], Array], x: Tensor = X, *, first_is_batch: bool = True) -> Probed:
    return probe(model(function), (x,), guesses((x,), batches=first_is_batch), first_is_batch=first_is_batch)


def test_rows_that_stand_alone_are_a_batch() -> None:
    assert tried(lambda x: x[:, :2] * 2) == Probed({"y": (-1, 2)}, batches=True)


def test_rows_that_depend_on_each_other_are_none() -> None:
    assert tried(lambda x: np.cumsum(x, axis=0)) == Probed({"y": (-1, 3)}, batches=False, mixes_rows=True)


def test_an_output_without_rows_is_none() -> None:
    assert tried(lambda x: x.sum(axis=0)) == Probed({"y": (3,)}, batches=False)


def test_dimensions_that_follow_the_input_are_of_any_size() -> None:
    image = Tensor("x", "FP32", (-1, 3, -1, -1))
    assert tried(lambda x: x[:, 0, ::2], image).shapes == {"y": (-1, -1, -1)}
    assert tried(lambda x: x.mean(axis=(2, 3)), image).shapes == {"y": (-1, 3)}


def test_where_the_model_takes_one_size_only_all_behind_the_rows_may_be_of_any() -> None:
    def strided(x: Array) -> Array:
        if x.shape[1] != 64:
            raise ValueError("64 please")
        return x

    assert tried(strided, Tensor("x", "FP32", (-1, -1))) == Probed({"y": (-1, -1)}, batches=True)


def test_a_first_dimension_that_is_no_batch_is_of_any_size() -> None:
    found = tried(lambda x: x[::2], Tensor("x", "FP32", (-1,)), first_is_batch=False)
    assert found == Probed({"y": (-1,)}, batches=False)


def test_fixed_shapes_need_one_run() -> None:
    runs: list[Array] = []

    def once(x: Array) -> Array:
        runs.append(x)
        return x

    assert tried(once, Tensor("x", "FP32", (1, 3))) == Probed({"y": (1, 3)}, batches=False)
    assert len(runs) == 1


def test_a_size_that_was_fixed_when_the_model_was_traced_is_refused() -> None:
    with pytest.raises(ModelRefused, match=r"first dimension of 1, but not of 2 \(cannot reshape .* was traced"):
        tried(lambda x: x.reshape(1, 3))

    with pytest.raises(ModelRefused, match="first dimension of 2, but not of 3"):
        tried(lambda x: x.reshape(2, 3))


def test_a_model_that_fails_is_refused_with_what_it_said() -> None:
    def fails(x: Array) -> Array:
        raise RuntimeError("Traceback of something\nexpected Long but found Float")

    with pytest.raises(ModelRefused, match="is tried: expected Long but found Float; check the datatypes"):
        tried(fails)


def test_outputs_that_change_with_the_size_are_refused() -> None:
    with pytest.raises(ModelRefused, match="'y' has 2 dimensions or 1"):
        tried(lambda x: x if len(x) == 2 else x[0])
    with pytest.raises(ModelRefused, match="gives other outputs"):
        probe(lambda arrays: {f"y{len(arrays['x'])}": arrays["x"]}, (X,), guesses((X,), batches=True))


def test_a_sample_is_repeated_for_other_sizes() -> None:
    seen: list[Array] = []

    def double(x: Array) -> Array:
        seen.append(x)
        return x * 2

    sample = np.array([[1, 2, 3]], np.float32)
    assert probe(model(double), (X,), [{"x": sample}]).batches
    assert [len(x) for x in seen] == [2, 3, 1, 1]
    assert all((x == sample).all() for x in seen)

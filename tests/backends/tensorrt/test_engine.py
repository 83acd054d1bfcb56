from __future__ import annotations

import numpy as np
import pytest

from backends.common.errors import LoadError, RequestError
from backends.common.signature import TensorSpec
from backends.tensorrt.engine import Range, check_dtype, choose, profiles_of, signature_of
from backends.tensorrt.fake import FakeTensor, fake_library
from tests.backends.tensorrt.engines import LARGE, SMALL, doubling

X = (TensorSpec("x", "TYPE_FP32", (-1, 4)),)


def test_inputs_outputs_and_profiles() -> None:
    engine = doubling()
    signature = signature_of(fake_library(engine), engine)
    assert signature.inputs == X
    assert signature.outputs == (TensorSpec("y", "TYPE_FP32", (-1, 4)),)
    assert profiles_of(engine, X) == {0: {"x": Range(*SMALL)}, 1: {"x": Range(*LARGE)}}
    assert list(profiles_of(engine, X, [1])) == [1]
    with pytest.raises(LoadError, match="profile 7 is not in the engine, which has 0, 1"):
        profiles_of(engine, X, [0, 7])


@pytest.mark.parametrize(
    ("tensor", "told"),
    [
        (FakeTensor("FP8", (1,)), "'x' is FP8, which Triton cannot carry"),
        (FakeTensor("INT64", (1,), location="HOST"), "'x' is a shape tensor"),
        (FakeTensor("HALF", (1,), layout="CHW16"), "'x' is not laid out linearly"),
    ],
)
def test_tensors_that_cannot_be_served(tensor: FakeTensor, told: str) -> None:
    engine = doubling(inputs={"x": tensor})
    with pytest.raises(LoadError, match=told):
        signature_of(fake_library(engine), engine)


def test_the_profile_that_is_tuned_for_the_nearest_size_is_taken() -> None:
    profiles = profiles_of(doubling(), X)
    assert [choose(profiles, {"x": (rows, 4)}) for rows in (1, 2, 3, 8)] == [0, 0, 1, 1]
    assert choose({1: profiles[1]}, {"x": (1, 4)}) == 1


def test_shapes_that_no_profile_allows() -> None:
    profiles = profiles_of(doubling(), X)
    with pytest.raises(RequestError, match=r"\[9, 4\], but .* for \[1, 4\] to \[2, 4\] or \[1, 4\] to \[8, 4\]"):
        choose(profiles, {"x": (9, 4)})
    with pytest.raises(RequestError, match=r"'x' has the shape \[4\]"):
        choose(profiles, {"x": (4,)})
    few, many = Range((1,), (1,), (1,)), Range((2,), (2,), (2,))
    with pytest.raises(RequestError, match=r"no optimization profile of the engine allows .*'a' \[1\], 'b' \[2\]"):
        choose({0: {"a": few, "b": few}, 1: {"a": many, "b": many}}, {"a": (1,), "b": (2,)})


def test_types_are_not_converted_in_secret() -> None:
    check_dtype(X[0], np.zeros(1, np.float32), np.float32)
    with pytest.raises(RequestError, match="'x' is int64, and the engine takes TYPE_FP32"):
        check_dtype(X[0], np.zeros(1, np.int64), np.float32)

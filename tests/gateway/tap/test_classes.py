import numpy as np
import pytest

from gateway.tap.classes import taken_apart
from gateway.tap.datatypes import Tensor


def texts(*elements: bytes) -> Tensor:
    return Tensor("label", "BYTES", (1, len(elements)), np.array([elements], object))


def test_scores_and_classes_are_told_apart() -> None:
    other = Tensor("y", "FP32", (1,), np.ones(1, np.float32))
    asked = texts(b"0.998:12:python", b"1e-05:3:a:b", b"-2:0")
    scores, classes, same = taken_apart((asked, other), {"label": 3})
    assert (scores.name, scores.datatype, scores.shape) == ("label", "FP32", (1, 3))
    np.testing.assert_array_equal(scores.data, np.array([[0.998, 1e-5, -2]], np.float32))
    assert (classes.name, classes.datatype, classes.data.tolist()) == (
        "label:class",
        "BYTES",
        [[b"12:python", b"3:a:b", b"0"]],
    )
    assert same is other


@pytest.mark.parametrize("element", [b"", b"python", b"0.5", b"0.5:python", b"x:1:a"])
def test_texts_that_are_no_classification_stay(element: bytes) -> None:
    tensors = (texts(b"0.5:1:a", element),)
    assert taken_apart(tensors, {"label": 2}) is not tensors
    assert taken_apart(tensors, {"label": 2})[0] is tensors[0]


def test_what_was_not_asked_for_as_one_stays() -> None:
    tensors = (texts(b"0.5:1:a"),)
    assert taken_apart(tensors, {}) == tensors
    assert taken_apart(tensors, {"other": 1}) == tensors
    numbers = (Tensor("label", "FP32", (1,), np.ones(1, np.float32)),)
    assert taken_apart(numbers, {"label": 1}) == numbers


def test_infinite_scores() -> None:
    scores, _ = taken_apart((texts(b"inf:0:a", b"-inf:1", b"nan:2"),), {"label": 3})
    np.testing.assert_array_equal(scores.data, [[np.inf, -np.inf, np.nan]])

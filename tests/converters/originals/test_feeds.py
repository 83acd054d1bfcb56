import numpy as np
import pytest

from converters.errors import BadData
from converters.originals.feeds import rows, taken


def test_arrays_come_in_the_models_order() -> None:
    assert list(taken({"b": np.ones(1), "a": np.ones(1)}, ["a", "b"])) == ["a", "b"]


def test_missing_and_unknown_inputs_are_told() -> None:
    with pytest.raises(BadData, match="the data has no 'b'; the model needs 'a', 'b'"):
        taken({"a": np.ones(1)}, ["a", "b"])
    with pytest.raises(BadData, match="no input 'c'; it has 'a'"):
        taken({"a": np.ones(1), "c": np.ones(1)}, ["a"])


def test_rows_become_float32() -> None:
    array = rows({"input": np.arange(6).reshape(2, 3)}, "input", 3)
    assert array.dtype == np.float32
    assert array.shape == (2, 3)


@pytest.mark.parametrize("array", [np.ones(3), np.ones((2, 4)), np.array([["a", "b", "c"]])])
def test_what_is_no_row_of_so_many_numbers_is_told(array: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> None:
    with pytest.raises(BadData, match=r"the model needs numbers of shape \[rows, 3\]"):
        rows({"input": array}, "input", 3)

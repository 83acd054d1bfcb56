import numpy as np
import pytest

from benchmarks.models import differences
from benchmarks.payloads import Array

WANTED: dict[str, Array] = {"A": np.array([[1.0, 2.0]], np.float32)}


def test_the_same_numbers_in_another_shape_are_right() -> None:
    assert differences({"A": [1.0, 2.0]}, WANTED) == ""


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"B": [1.0, 2.0]}, "outputs are"),
        ({"A": [1.0]}, "A has 1 elements instead of 2"),
        ({"A": [1.0, 3.0]}, "A differs by 1"),
    ],
)
def test_what_is_wrong_is_told(found: dict[str, list[float]], expected: str) -> None:
    assert expected in differences(found, WANTED)

from __future__ import annotations

import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.description import Hints, Tensor
from gateway.repository.kinds.hinted import UNKNOWN, batching, corrected, first_not_open, refuse_unknown_ranks

OPEN = Tensor("x", "FP32", (-1, 3))
FIXED = Tensor("y", "FP32", (1, 3))


def test_sizes_that_the_file_leaves_open_are_taken_as_said() -> None:
    assert corrected("input", [Tensor("x", "FP32", (-1, -1))], [Tensor("x", "", (-1, 7))])[0].shape == (-1, 7)
    assert corrected("input", [Tensor("x", "FP32", UNKNOWN)], [Tensor("x", "FP32", (2,))])[0].shape == (2,)
    assert corrected("input", [Tensor("x", "FP32", UNKNOWN)], [Tensor("x", "FP32", ())])[0].shape == UNKNOWN
    assert corrected("output", [OPEN, FIXED], []) == (OPEN, FIXED)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (Tensor("pixel", "FP32", (-1, 3)), r"no input 'pixel' .*; did you mean 'pixels'\?"),
        (Tensor("zzz", "FP32", (-1, 3)), r"no input 'zzz' .*; it has 'pixels'"),
        (Tensor("pixels", "INT8", (-1, 3)), "'pixels' is FP32 in the model, not INT8"),
        (Tensor("pixels", "FP32", (-1, 4)), r"has the shape \[-1, 3\] in the model .*, which \[-1, 4\] does not fit"),
        (Tensor("pixels", "FP32", (3,)), r"which \[3\] does not fit"),
    ],
)
def test_what_contradicts_the_file_is_refused(said: Tensor, reason: str) -> None:
    with pytest.raises(ModelRefused, match=reason):
        corrected("input", [Tensor("pixels", "FP32", (-1, 3))], [said])


def test_a_model_batches_if_all_first_dimensions_are_open_unless_somebody_says_no() -> None:
    assert batching(Hints(), [OPEN], [OPEN])
    assert not batching(Hints(batches=False), [OPEN], [OPEN])
    assert not batching(Hints(), [OPEN], [FIXED])
    assert first_not_open([OPEN], [FIXED]) == FIXED
    assert first_not_open([OPEN], [OPEN]) is None
    with pytest.raises(ModelRefused, match=r"'y' has the shape \[1, 3\]"):
        batching(Hints(batches=True), [OPEN], [FIXED])


def test_unknown_ranks_are_asked_for() -> None:
    refuse_unknown_ranks("input", [OPEN])
    with pytest.raises(ModelRefused, match="--input x:FP32:DIMS"):
        refuse_unknown_ranks("input", [Tensor("x", "FP32", UNKNOWN)])

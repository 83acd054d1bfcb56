from __future__ import annotations

import numpy as np
import pytest

from converters.errors import BadData
from converters.verify.reference import Reference, run_batch
from tests.converters.verify.doubles import Batches, FunctionRunner, Heard

DATA = Batches([{"x": np.full((2, 3), number, np.float32)} for number in range(3)])


def test_runs_the_original_once_and_keeps_what_it_gives() -> None:
    runner, heard = FunctionRunner(lambda feeds: {"y": feeds["x"] * -2}), Heard()
    with Reference(runner, DATA, heard) as reference:
        assert (reference.name, reference.batches, reference.samples) == ("function 1", 3, 6)
        assert reference.scales == {"y": 2.0}
        assert [batch["y"][0, 0] for batch in reference.outputs] == [0, -2, -4]
    assert runner.runs == 3
    assert heard.stages == [("run the original", 3)]
    assert heard.steps == [1, 2, 3]


def test_no_data() -> None:
    with pytest.raises(BadData, match="made-up data has no data"):
        Reference(FunctionRunner(lambda _: {}), Batches([]), Heard())


def test_original_that_gives_nothing_but_nan() -> None:
    with pytest.raises(BadData, match="nothing but NaN for output 'y' on made-up data"):
        Reference(FunctionRunner(lambda _: {"y": np.full(2, np.nan)}), DATA, Heard())
    some = FunctionRunner(lambda _: {"y": np.array([np.nan, 1.0]), "empty": np.zeros(0)})
    with Reference(some, DATA, Heard()) as reference:
        assert reference.scales == {"y": 1.0, "empty": 0.0}


def test_batch_that_does_not_fit_is_named() -> None:
    def refuse(feeds: object) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
        raise BadData("input 'x' is FP32 [2, 3]", hint="the model takes x: FP32 [n, 4]")

    with pytest.raises(BadData, match=r"batch 1 of made-up data: input 'x' .* the model takes"):
        run_batch(FunctionRunner(refuse), {}, 1, DATA)

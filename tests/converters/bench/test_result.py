from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from converters.bench.result import BenchOptions


def test_options_ask_for_several_turns_of_each_variant() -> None:
    options = BenchOptions({"x": np.ones((1, 3))})
    assert options.rounds > 1
    assert options.batch_sizes[0] == 1
    with pytest.raises(FrozenInstanceError):
        options.rounds = 1  # type: ignore[misc]  # that is what is tested

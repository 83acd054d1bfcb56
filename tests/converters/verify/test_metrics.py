from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from converters.errors import ConfigError, ConversionError
from converters.verify.gate import Metric
from converters.verify.metrics import own_metrics

SOURCE = """
import numpy as np

def equal(original, result, inputs):
    assert len(original) == len(result) == len(inputs)
    return np.mean([np.array_equal(a["y"], b["y"]) for a, b in zip(original, result)])

def words(original, result, inputs):
    return "good"

def broken(original, result, inputs):
    return original[0]["z"]
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "own.py").write_text(SOURCE)
    return tmp_path


def measured(base: Path, name: str) -> float:
    (metric,) = own_metrics([Metric(f"own.py:{name}", at_least=0)], base)
    batches = [{"y": np.ones(2)}, {"y": np.zeros(2)}]
    return metric(batches, [{"y": np.ones(2)}, {"y": np.ones(2)}], [{}, {}])


def test_number_of_a_users_function(base: Path) -> None:
    assert measured(base, "equal") == 0.5


def test_what_is_no_number(base: Path) -> None:
    with pytest.raises(ConversionError, match=r"own\.py:words' gave str instead of a number"):
        measured(base, "words")


def test_error_is_told_in_the_users_line(base: Path) -> None:
    with pytest.raises(ConversionError, match=r"own\.py:12 with KeyError: 'z'"):
        measured(base, "broken")


def test_limits_that_are_none_or_that_nothing_meets(base: Path) -> None:
    with pytest.raises(ConfigError, match="has no limit"):
        own_metrics([Metric("own.py:equal")], base)
    with pytest.raises(ConfigError, match="at least 2 and at most 1"):
        own_metrics([Metric("own.py:equal", at_least=2, at_most=1)], base)

import math
from pathlib import Path

import pytest

from converters.build.results import Latency, Problem
from converters.build.stored import plain, store, stored
from converters.graph.signature import Signature, Tensor


@pytest.mark.parametrize(
    "value",
    [
        Latency("onnxruntime", 1, 2.0, 1.0, 2.0, 1.0),
        Latency("onnxruntime", 1, math.inf, 1.0, 2.0, 1.0),
        Problem("Crash", "int8", "", "it ended", "see the log"),
        Signature((Tensor("x", "FP32", ("batch", 3)),), (Tensor("y", "FP32", None),)),
    ],
)
def test_values_come_back_as_they_were_stored(tmp_path: Path, value: object) -> None:
    store(tmp_path / "value.json", value)
    assert stored(tmp_path / "value.json", type(value)) == value


def test_what_is_another_kind_is_refused_and_plain_values_are_json() -> None:
    assert plain(Problem("Crash", "", "", "a", "b"))["kind"] == "Crash"


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    store(tmp_path / "value.json", Problem("Crash", "", "", "a", "b"))
    with pytest.raises(ValueError, match="Latency"):
        stored(tmp_path / "value.json", Latency)

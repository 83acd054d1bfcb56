from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from converters.arrays import Array, Feeds
from converters.errors import ConfigError, ConversionError
from converters.verify.base import Failure
from converters.verify.gate import Gate, Metric, Thresholds
from converters.verify.onnx_runner import OnnxRunner
from converters.verify.reference import Reference
from converters.verify.verify import verify, verify_against
from tests.converters.verify.doubles import Batches, FunctionRunner, Heard, doubling

DATA = Batches([{"x": np.arange(6, dtype=np.float32).reshape(2, 3) + number} for number in range(3)])
STRICT = Gate(every=Thresholds(max_abs=0.01))


def off_by(error: float) -> FunctionRunner:
    return FunctionRunner(lambda feeds: {"y": feeds["x"] * 2 + error}, name="other 2")


def test_equal_models_pass() -> None:
    verdict = verify(OnnxRunner(doubling()), off_by(0), DATA, STRICT, Heard())
    assert verdict.passed
    assert (verdict.batches, verdict.samples, verdict.failures) == (3, 6, ())
    assert verdict.original.startswith("onnxruntime")
    assert verdict.result == "other 2"
    assert verdict.outputs[0].max_abs == 0.0


def test_one_reference_judges_many_results() -> None:
    original, heard = off_by(0), Heard()
    with Reference(original, DATA, heard) as reference:
        passed = [verify_against(reference, off_by(error), STRICT, heard).passed for error in (0.0, 0.005, 0.5)]
        failed = verify_against(reference, off_by(0.5), STRICT, heard)
    assert passed == [True, True, False]
    assert failed.failures == (Failure("y", "max_abs", 0.5, 0.01),)
    assert original.runs == 3
    assert heard.stages[-1] == ("run the result", 3)


def test_nan_fails() -> None:
    verdict = verify(off_by(0), off_by(np.nan), DATA, Gate(), Heard())
    assert not verdict.passed
    assert verdict.failures == (Failure("y", "nan", 18, 0),)


def test_detections_of_another_number_fail() -> None:
    def detect(threshold: int) -> FunctionRunner:
        return FunctionRunner(lambda feeds: {"boxes": feeds["x"].reshape(-1, 1)[: 3 + threshold] @ np.ones((1, 4))})

    verdict = verify(detect(1), detect(0), DATA, Gate(), Heard())
    assert not verdict.passed
    assert "FP64 [3, 4] instead of FP64 [4, 4]" in str(verdict.failures[0])


def test_users_metric_sees_all_batches(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "def share(original, result, inputs):\n"
        "    assert [set(batch) for batch in inputs] == [{'x'}] * 3\n"
        "    return sum(float(abs(a['y'] - b['y']).max() < 1) for a, b in zip(original, result)) / len(original)\n"
    )
    gate = Gate(metrics=(Metric("own.py:share", at_least=0.9),))
    with Reference(off_by(0), DATA, Heard()) as reference:
        good = verify_against(reference, off_by(0.5), gate, Heard(), tmp_path)
        bad = verify_against(reference, off_by(5), gate, Heard(), tmp_path)
    assert good.passed
    assert good.metrics == {"own.py:share": 1.0}
    assert bad.failures == (Failure("", "own.py:share", 0.0, 0.9),)


@pytest.mark.parametrize("gate", [Gate(outputs={"z": Thresholds()}), Gate(metrics=(Metric("none.py:f", at_least=1),))])
def test_wrong_gate_is_told_before_anything_is_run(gate: Gate) -> None:
    result = off_by(0)
    with Reference(off_by(0), DATA, Heard()) as reference, pytest.raises(ConfigError):
        verify_against(reference, result, gate, Heard())
    assert result.runs == 0


def test_result_that_lacks_an_output() -> None:
    def renamed(feeds: Feeds) -> Mapping[str, Array]:
        return {"Identity_0": feeds["x"]}

    with pytest.raises(ConversionError, match=r"no output y.*it has Identity_0"):
        verify(off_by(0), FunctionRunner(renamed), DATA, STRICT, Heard())

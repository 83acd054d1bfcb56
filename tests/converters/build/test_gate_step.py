from pathlib import Path

import pytest

from converters.build.config import GateSection, MetricSection, ThresholdsSection
from converters.build.gate_step import Judge, gate_of, in_short
from converters.build.onnx_step import Converted, to_onnx
from converters.verify.base import Runner, Verdict
from converters.verify.gate import Gate, Metric, Thresholds
from converters.verify.judge import default_gate
from converters.verify.onnx_runner import OnnxRunner
from tests.converters.build.building import configuration, small_model, workbench, write_inputs

FP32 = {"fp32": {"precision": "fp32"}}


def converted(folder: Path, **model: object) -> Converted:
    write_inputs(folder)
    return to_onnx(workbench(folder, configuration(FP32, **model)))


def test_the_gate_is_the_configured_one_or_the_precisions() -> None:
    section = GateSection(
        cosine=0.9,
        outputs={"y": ThresholdsSection(max_abs=1.0)},
        metrics=(MetricSection(function="m.py:f", at_least=0.5),),
    )
    assert gate_of(section, "int8") == Gate(
        Thresholds(cosine=0.9), {"y": Thresholds(max_abs=1.0)}, (Metric("m.py:f", 0.5, None),)
    )
    assert gate_of(None, "int8") == default_gate("int8")


def test_a_verdict_is_looked_up_until_the_gate_or_the_result_changes(tmp_path: Path) -> None:
    model = converted(tmp_path)
    starts = list[int]()

    def runner() -> Runner:
        starts.append(1)
        return OnnxRunner(small_model())

    with Judge(workbench(tmp_path, configuration(FP32)), model) as judge:
        judged = [
            judge.verdict("gate", model.made, runner, gate, **facts)
            for gate, facts in (
                (default_gate("fp32"), {}),
                (default_gate("fp32"), {}),
                (default_gate("fp16"), {}),
                (default_gate("fp16"), {"gpu": "another"}),
            )
        ]
    assert [known for each in judged if each for known in each[1:]] == [False, True, False, False]
    assert len(starts) == 3
    verdict = judged[0][0] if judged[0] else None
    assert verdict is not None
    assert verdict.passed
    assert in_short(verdict) == "cosine 1.000000, mean error 0.00e+00 of the mean value ('y')"


def test_without_data_there_is_no_verdict(tmp_path: Path) -> None:
    model = converted(tmp_path, data={})
    with Judge(workbench(tmp_path, configuration(FP32)), model) as judge:
        assert judge.verdict("gate", model.made, pytest.fail, default_gate("fp32")) is None


def test_a_verdict_without_outputs_has_words_too() -> None:
    assert in_short(Verdict(True, 1, 1, "a", "b", ())) == "no outputs"

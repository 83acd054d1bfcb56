"""What `test_model_build.py` does not come across."""

from pathlib import Path

import numpy as np
import pytest

from converters.build.gate_step import Judge
from converters.build.onnx_step import to_onnx
from converters.build.variant_step import Base, Typed, VariantStep
from converters.errors import BadData, ConfigError, GateFailed
from tests.converters.build.building import Told, configuration, workbench, write_inputs


def made(folder: Path, told: Told | None = None, data: dict[str, object] | None = None, **variant: object) -> Typed:
    write_inputs(folder)
    bench = workbench(folder, configuration({"v": variant}, **({"data": data} if data else {})), told)
    converted = to_onnx(bench)
    with Judge(bench, converted) as judge:
        step = VariantStep(bench, converted, judge, "v")
        return step.made_from(Base(converted.made, lambda: converted.model))


def test_nodes_are_kept_by_pattern(tmp_path: Path) -> None:
    typed = made(tmp_path, precision="fp16", keep=["s*", "third"])
    assert typed.kept.fp32 == {"second", "sigmoid", "third"}
    assert typed.verdict is not None
    assert typed.verdict.passed
    assert typed.model().graph.node


def test_a_pattern_that_matches_nothing_is_told_with_model_and_variant(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"small, v: no node is called 'conv\*'.*inspect .*model.onnx --nodes"):
        made(tmp_path, precision="fp16", keep=["conv*"])


def test_a_search_that_may_keep_too_little_leaves_the_failure(tmp_path: Path) -> None:
    told = Told()
    with pytest.raises(GateFailed, match=r"small, gate v, node .*: it is not as good as the original"):
        made(tmp_path, told, precision="int8", gate={"max_abs": 1e-7}, search={"most": 1, "attempts": 2})
    assert told.states("search v") == ["done"]


def test_without_data_to_verify_with_there_is_no_verdict(tmp_path: Path) -> None:
    assert made(tmp_path, data={"calibration": {"synthetic": 2}}, precision="int8").verdict is None


def test_calibration_data_that_does_not_fit_is_told_with_the_variant(tmp_path: Path) -> None:
    np.savez(tmp_path / "wrong.npz", x=np.zeros((4, 9), np.float32))
    with pytest.raises(BadData, match=r"small, v: input 'x' in batch 0 of .*wrong.npz has the shape \[4, 9\]"):
        made(tmp_path, data={"calibration": {"npz": "wrong.npz"}}, precision="int8")

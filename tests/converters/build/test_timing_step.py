from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from converters.build.cache import Made
from converters.build.gate_step import Judge
from converters.build.onnx_step import Converted, to_onnx
from converters.build.timing_step import latency
from converters.build.variant_step import VariantStep
from converters.build.workbench import Workbench
from converters.errors import ConversionError
from converters.graph.files import save
from tests.converters.build.building import Told, configuration, small_model, workbench, write_inputs

VARIANTS = {
    "int8": {"precision": "int8"},
    "mixed": {"precision": "int8", "rest": "fp16"},
    "fp16": {"precision": "fp16"},
}


@dataclass(slots=True)
class Timed:
    """A variant that was made, and what it is timed with."""

    bench: Workbench
    converted: Converted
    typed: Made

    @classmethod
    def made_in(cls, folder: Path, told: Told | None = None, **model: object) -> Timed:
        write_inputs(folder)
        bench = workbench(folder, configuration(VARIANTS, **model), told)
        save(small_model(2.0), folder / "typed/model.onnx")
        return cls(bench, to_onnx(bench), Made(folder / "typed", "digest", cached=False, seconds=0.0))

    def latency(self, name: str, typed: Made | None = None, served_by: Literal["tensorrt", "cpu"] = "cpu") -> Any:
        variant = VariantStep(self.bench, self.converted, Judge(self.bench, self.converted), name, served_by)
        return latency(self.bench, self.converted, variant, typed or self.typed)


def test_both_are_timed_once(tmp_path: Path) -> None:
    told = Told()
    timed = Timed.made_in(tmp_path, told)
    first, second = timed.latency("int8"), timed.latency("int8")
    assert first == second
    assert (first.runner.startswith("onnxruntime"), first.batch) == (True, 8)
    assert told.states("timing int8 cpu") == ["done", "cached"]


def test_where_it_says_nothing_it_is_left_out(tmp_path: Path) -> None:
    timed = Timed.made_in(tmp_path)
    assert timed.latency("fp16") is None  # computed in FP32 on a CPU
    assert timed.latency("mixed", served_by="tensorrt") is None  # in part
    assert timed.latency("int8", timed.converted.made) is None  # the model itself
    assert Timed.made_in(tmp_path, data={"calibration": {"synthetic": 1}}).latency("int8") is None  # nothing to run


def test_a_variant_that_does_not_run_says_why_and_how_to_go_on_without(tmp_path: Path) -> None:
    timed = Timed.made_in(tmp_path)
    (tmp_path / "typed/model.onnx").write_bytes(b"none")
    with pytest.raises(ConversionError, match=r"small, timing int8 cpu: .*; set timings: false"):
        timed.latency("int8")

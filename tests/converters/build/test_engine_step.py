"""What `test_model_build.py` does not come across: how engines are told apart, and gates on a GPU that is made up."""

from __future__ import annotations

from pathlib import Path

import pytest

from converters.build import engine_step
from converters.build.engine_step import EngineStep
from converters.build.gate_step import Judge, Refused
from converters.build.onnx_step import to_onnx
from converters.build.variant_step import Base, Typed, VariantStep
from converters.engines.gpus import Gpu
from converters.errors import BadEngine, ConfigError, Unsupported
from converters.verify.onnx_runner import OnnxRunner
from tests.converters.build.building import Told, configuration, small_model, workbench, write_inputs

pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX has no wheel for this platform")


class Made:
    """The FP16 graph of the small model, and the engine step for a target."""

    def __init__(self, folder: Path, target: dict[str, object] | None = None, **model: object) -> None:
        write_inputs(folder)
        config = configuration({"v": {"precision": "fp16"}}, targets=["rtx"], **model)
        rtx = config.targets["rtx"].model_copy(update=target or {})
        config = config.model_copy(update={"targets": {"rtx": rtx}})
        self.told = Told()
        bench = workbench(folder, config, self.told)
        converted = to_onnx(bench)
        judge = Judge(bench, converted)
        base = Base(converted.made, lambda: converted.model)
        self.typed: Typed = VariantStep(bench, converted, judge, "v").made_from(base)
        self.step = EngineStep(bench, judge, "v", "rtx")


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_step, "gpus", tuple)


def test_an_engine_is_built_once_and_again_for_other_options(tmp_path: Path) -> None:
    made = Made(tmp_path)
    first, second = made.step.engines(made.typed), made.step.engines(made.typed)
    assert [engine.cached for engine in (*first, *second)] == [False, True]
    assert first[0].facts == second[0].facts
    assert (first[0].ran, first[0].verdict) == ("onnx", None)
    assert first[0].facts.profiles[0]["x"].max == (8, 8)
    (other,) = Made(tmp_path, {"tf32": False}).step.engines(made.typed)
    assert not other.cached


def test_a_plan_that_was_damaged_in_the_cache_is_found_out(tmp_path: Path) -> None:
    made = Made(tmp_path)
    (engine,) = made.step.engines(made.typed)
    data = bytearray(engine.path.read_bytes())
    data[25] ^= 1  # of the version; the size stays
    engine.path.write_bytes(data)
    with pytest.raises(BadEngine, match="was built by tensorrt_rtx"):
        made.step.engines(made.typed)


def test_a_target_that_is_none_and_a_profile_that_does_not_fit_are_told_with_the_step(tmp_path: Path) -> None:
    made = Made(tmp_path, {"compute_capabilities": (51,)})
    with pytest.raises(Unsupported, match="small, engine v rtx: tensorrt_rtx does not build for sm_51"):
        made.step.engines(made.typed)
    made = Made(tmp_path, shapes={"z": {1: [1, 2, 3]}})
    with pytest.raises(ConfigError, match=r"small, engine v rtx: .*'z'"):
        made.step.engines(made.typed)


def test_where_a_gpu_like_the_plans_is_there_the_engine_itself_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_step, "gpus", lambda: (Gpu("a card", 86, 8192),))
    monkeypatch.setattr(engine_step, "EngineRunner", lambda *_: OnnxRunner(small_model()))
    made = Made(tmp_path)
    (engine,) = made.step.engines(made.typed)
    assert engine.ran == "engine"
    assert engine.verdict is not None
    assert made.told.states("gate v rtx") == ["done"]
    (tmp_path / "wrong").mkdir()
    wrong = Made(tmp_path / "wrong")
    monkeypatch.setattr(engine_step, "EngineRunner", lambda *_: OnnxRunner(small_model(9.0)))
    with pytest.raises(Refused, match="small, gate v rtx: it is not as good as the original"):
        wrong.step.engines(wrong.typed)

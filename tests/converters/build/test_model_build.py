"""Whole models through all steps, in this process, with real converters and the real TensorRT for RTX."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from converters.build.config import EnginesConfig
from converters.build.model_build import ModelBuild
from converters.build.results import ModelResult
from converters.build.worker import Request
from converters.engines.record import read
from tests.converters.build.building import Told, configuration, small_model, write_inputs

pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX has no wheel for this platform")


def built(folder: Path, config: EnginesConfig, told: Told | None = None) -> ModelResult:
    request = Request(config, folder, "small", folder / "out/cache", folder / "out/log", threads=1)
    return ModelBuild(request, told or Told()).run()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("engines")
    write_inputs(folder)
    return folder


ALL = {
    "fp16": {"precision": "fp16", "targets": ["cpu", "rtx"]},
    "int8": {"precision": "int8", "gate": {"cosine": 0.95}},
}


@pytest.fixture(scope="module")
def first(folder: Path) -> ModelResult:
    return built(folder, configuration(ALL))


def test_every_variant_is_built_judged_and_published_for_every_target(folder: Path, first: ModelResult) -> None:
    assert first.problem is None
    assert first.passed
    assert first.verdict is not None
    assert first.verdict.passed
    assert [(v.name, [(b.target, b.published, b.ran) for b in v.built]) for v in first.variants] == [
        ("fp16", [("rtx", "small_fp16_rtx/1", "onnx"), ("cpu", "small_fp16_cpu/1", "onnx")]),
        ("int8", [("cpu", "small_int8_cpu/1", "onnx")]),
    ]
    assert sorted(path.name for path in (folder / "out/repository/small_fp16_rtx/1").iterdir()) == [
        "engine.json",
        "model.plan",
    ]


def test_beside_each_result_lies_where_it_comes_from_and_how_good_it_is(folder: Path, first: ModelResult) -> None:
    (plan,) = read(folder / "out/repository/small_fp16_rtx/1")
    assert (plan.precision, plan.compute_capabilities, plan.builder) == ("fp16", (86, 120), "tensorrt_rtx")
    assert plan.source.name == "small.onnx"
    assert plan.source.sha256 == first.sha256
    assert plan.profiles == ({"x": {"min": [1, 8], "opt": [4, 8], "max": [8, 8]}},)
    assert plan.gate["ran"] == "onnx"
    assert plan.gate["passed"]
    assert plan.options == {}
    (int8,) = read(folder / "out/repository/small_int8_cpu/1")
    assert (int8.format, int8.calibration["method"], int8.calibration["batches"]) == ("onnx", "minmax", 4)


def test_an_unchanged_model_is_looked_up(folder: Path, first: ModelResult) -> None:
    told = Told()
    again = built(folder, configuration(ALL), told)
    assert again.passed
    assert all(step.cached for step in again.steps)
    assert all(step.cached for variant in again.variants for step in variant.steps)
    assert [each.new for variant in again.variants for each in variant.built] == [False, False, False]
    assert told.states("to ONNX") == ["cached"]
    assert again.verdict == first.verdict


def test_only_what_changed_is_built(folder: Path, first: ModelResult) -> None:
    changed = {**ALL, "int8": {"precision": "int8", "gate": {"cosine": 0.9}}}
    result = built(folder, configuration(changed))
    fresh = [step.name for variant in result.variants for step in variant.steps if not step.cached]
    assert fresh == ["gate int8 cpu"]


def test_a_gate_that_fails_publishes_nothing_and_says_what_is_worst(folder: Path) -> None:
    config = configuration({"strict": {"precision": "int8", "gate": {"outputs": {"y": {"max_abs": 1e-9}}}}})
    result = built(folder, config)
    (variant,) = result.variants
    assert variant.problem is not None
    assert (variant.problem.kind, variant.problem.step) == ("Refused", "gate strict cpu")
    assert "output 'y': max_abs is" in variant.problem.what
    assert variant.verdict is not None
    assert variant.verdict.worst_layer is not None
    assert variant.built == ()
    assert not (folder / "out/repository/small_strict_cpu").exists()


def test_nodes_that_lose_accuracy_are_searched_for(tmp_path: Path) -> None:
    write_inputs(tmp_path)
    broken = small_model(scale=30.0)  # one layer's activations reach so far that INT8 has few steps for the rest
    onnx.save(broken, tmp_path / "small.onnx")
    random = np.random.default_rng(5)
    rows = random.normal(0, 1, (32, 8)).astype(np.float32)
    rows[0] *= 400
    np.savez(tmp_path / "calibration.npz", x=rows)
    section = {"precision": "int8", "gate": {"cosine": 0.99}, "search": {"most": 3, "attempts": 8}}
    result = built(tmp_path, configuration({"int8": section}))
    (variant,) = result.variants
    assert variant.problem is None, variant.problem
    assert variant.kept_fp32
    assert variant.verdict is not None
    assert variant.verdict.passed


def test_one_that_cannot_be_built_does_not_keep_the_others_from_it(folder: Path) -> None:
    config = configuration({"bf16": {"precision": "bf16", "targets": ["rtx", "cpu"]}})
    target = config.targets["rtx"].model_copy(update={"compute_capabilities": (75,)})
    config = config.model_copy(update={"targets": {**config.targets, "rtx": target}})
    (variant,) = built(folder, config).variants
    rtx, cpu = variant.built
    assert rtx.problem is not None
    assert "sm_75" in rtx.problem.what
    assert cpu.published == "small_bf16_cpu/1"
    assert not (folder / "out/repository/small_bf16_rtx").exists()


@pytest.mark.parametrize("content", [b"", b"\x08\x07 this is none", None])
def test_a_source_that_is_none_is_a_problem_of_the_model(tmp_path: Path, content: bytes | None) -> None:
    write_inputs(tmp_path)
    (tmp_path / "small.onnx").unlink()
    if content is not None:
        (tmp_path / "small.onnx").write_bytes(content)
    told = Told()
    result = built(tmp_path, configuration(ALL), told)
    assert result.problem is not None
    assert result.problem.kind == "BadSource"
    assert result.problem.hint
    assert not result.passed
    assert told.events[-1].state == "failed"


def test_plans_for_each_gpu_lie_side_by_side(folder: Path) -> None:
    config = configuration({"fp16": {"precision": "fp16", "targets": ["rtx"]}})
    target = config.targets["rtx"].model_copy(update={"plans": "each", "name": "small_each"})
    config = config.model_copy(update={"targets": {**config.targets, "rtx": target}})
    (variant,) = built(folder, config).variants
    assert set(variant.built[0].files) == {"model_sm86.plan", "model_sm120.plan"}
    text = (folder / "out/repository/small_each/config.pbtxt").read_text()
    assert '{ key: "8.6" value: "model_sm86.plan" }' in text
    assert [record.compute_capabilities for record in read(folder / "out/repository/small_each/1")] == [(86,), (120,)]


def test_the_request_travels_to_another_process(folder: Path) -> None:
    request = Request(configuration(ALL), folder, "small", folder, folder, 1)
    assert pickle.loads(pickle.dumps(request)) == request  # noqa: S301 - our own
    assert json.dumps(request.config.model_dump(mode="json"))
    assert replace(request, threads=2) != request

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from converters.engines import validity
from converters.engines.base import BuildOptions
from converters.engines.tensorrt_rtx import RtxBuilder
from converters.errors import OutOfResources, ToolMissing, Unsupported
from tests.converters.engines.tiny_models import Seen, batches, cast_to, convolution, model, product, quantised

pytest.importorskip("tensorrt_rtx", reason="there is no wheel of tensorrt-rtx for this platform")


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("converters.engines.tensorrt_rtx.gpus", tuple)


def build(source: object = None, **options: object) -> validity.EngineHeader:
    given = {"compute_capabilities": (89,), **options}
    plan = RtxBuilder().build(source or convolution(1), BuildOptions(**given), Seen())  # type: ignore[arg-type]
    return validity.check(plan.data, builder="tensorrt_rtx", version=plan.version)


@pytest.mark.parametrize("capability", [75, 80, 86, 89, 120, 121])
def test_one_target(capability: int) -> None:
    header = build(compute_capabilities=(capability,))
    assert header.compute_capabilities == (capability,)
    assert not header.later


def test_all_targets_in_one_engine() -> None:
    builder = RtxBuilder()
    plan = builder.build(convolution(), BuildOptions(batches(), (120, 75, 89, 86, 75)), Seen())
    assert plan.compute_capabilities == (75, 86, 89, 120)
    assert validity.inspect(plan.data).compute_capabilities == (75, 86, 89, 120)
    assert any("sm_75 together with others" in warning for warning in plan.warnings)


def test_ampere_and_later() -> None:
    header = build(compute_capabilities=(), hardware_compatible="ampere_plus")
    assert header.compute_capabilities == (80, 86, 89, 120, 121)
    assert header.later
    for level in ("ampere_plus", "same_compute_capability"):
        with pytest.raises(Unsupported, match="'hardware_compatible'"):
            build(hardware_compatible=level)


@pytest.mark.parametrize(
    "options", [{"optimization_level": 0}, {"optimization_level": 5}, {"workspace_mib": 512}, {"tf32": False}]
)
def test_options_that_it_takes(options: dict[str, object]) -> None:
    assert build(**options).size


def test_options_that_it_does_not_take() -> None:
    with pytest.raises(Unsupported, match="'version_compatible'"):
        build(version_compatible=True)
    with pytest.raises(ToolMissing, match="'strip_weights' needs a GPU"):
        build(strip_weights=True)


def test_a_timing_cache_is_of_no_use_to_it(tmp_path: Path) -> None:
    options = BuildOptions(compute_capabilities=(89,), timing_cache=tmp_path / "a.cache")
    plan = RtxBuilder().build(convolution(1), options, Seen())
    assert "no use for a timing cache" in plan.warnings[0]
    assert list(tmp_path.iterdir()) == []


def test_a_workspace_that_is_too_small() -> None:
    with pytest.raises(OutOfResources, match="'workspace_mib: 1'"):
        build(convolution(1, channels=64), workspace_mib=1)


def test_turing_has_no_fp32_matrix_products() -> None:
    with pytest.raises(Unsupported, match="sm_75 cannot run this node: FP32 GEMM") as caught:
        build(product(), compute_capabilities=(75, 89))
    assert caught.value.place.node == "product"
    assert "FP16 for sm_75" in caught.value.hint
    assert build(product()).compute_capabilities == (89,)


def test_precisions() -> None:
    assert build(cast_to(TensorProto.FLOAT16), compute_capabilities=(75,)).size
    assert build(cast_to(TensorProto.BFLOAT16), compute_capabilities=(80,)).size
    assert build(quantised(TensorProto.INT8), compute_capabilities=(75,)).size
    assert build(quantised(TensorProto.FLOAT8E4M3FN), compute_capabilities=(89,)).size


def depthwise() -> onnx.ModelProto:
    node = helper.make_node("Conv", ["x", "w"], ["y"], name="depthwise", group=8, pads=[1] * 4)
    shape: list[int | str] = [1, 8, 128, 128]
    return model([node], {"x": shape}, {"y": shape}, {"w": np.ones((8, 1, 3, 3), np.float32)})


def test_fixed_depthwise_convolutions_are_large_on_turing_alone() -> None:
    """What the module's docstring says of sizes."""
    fixed = {each: build(depthwise(), compute_capabilities=(each,)).size or 0 for each in (86, 75)}
    assert fixed[75] - fixed[86] == pytest.approx(12 * 8 * 128 * 128, rel=0.05)


def test_a_failure_leaves_no_trace_in_the_next_engine() -> None:
    options = BuildOptions(compute_capabilities=(89,))
    before = RtxBuilder().build(depthwise(), options, Seen())
    with pytest.raises(Unsupported):
        build(product(), compute_capabilities=(75,))
    assert RtxBuilder().build(depthwise(), options, Seen()).data == before.data

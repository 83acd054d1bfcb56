"""What every builder keeps to, run on the real one that needs no GPU and on the shipped double."""

from __future__ import annotations

import signal

import pytest

from converters.engines import validity
from converters.engines.base import Builder, BuildOptions, Plan, Range
from converters.engines.fake import FakeBuilder
from converters.engines.tensorrt_rtx import RtxBuilder
from converters.errors import ConversionError, ToolMissing, Unsupported
from tests.converters.engines.tiny_models import Seen, batches, convolution, foreign

BUILDERS = {"fake": FakeBuilder, "tensorrt_rtx": RtxBuilder}


@pytest.fixture(params=BUILDERS, scope="module")
def builder(request: pytest.FixtureRequest) -> Builder:
    if request.param == "tensorrt_rtx":
        pytest.importorskip("tensorrt_rtx", reason="there is no wheel of tensorrt-rtx for this platform")
    made: Builder = BUILDERS[request.param]()
    return made


@pytest.fixture(scope="module")
def built(builder: Builder) -> tuple[Plan, Seen]:
    seen = Seen()
    options = BuildOptions(profiles=batches(), compute_capabilities=(89, 86))
    return builder.build(convolution(), options, seen), seen


def test_plan_tells_what_it_is(builder: Builder, built: tuple[Plan, Seen]) -> None:
    plan, _ = built
    assert (plan.builder, plan.version) == (builder.name, builder.version)
    assert plan.compute_capabilities == (86, 89)
    assert plan.profiles == batches()
    assert [str(tensor) for tensor in plan.signature.inputs] == ["x: FP32 [N, 3, 8, 8]"]
    assert [str(tensor) for tensor in plan.signature.outputs] == ["y: FP32 [N, 4, 8, 8]"]
    assert plan.seconds >= 0
    assert plan.warnings == ()


def test_plan_passes_the_check_without_a_gpu(builder: Builder, built: tuple[Plan, Seen]) -> None:
    header = validity.check(built[0].data, builder=builder.name, version=builder.version, compute_capability=86)
    assert header.compute_capabilities == (86, 89)
    assert header.size == len(built[0].data)


def test_progress_never_goes_back(built: tuple[Plan, Seen]) -> None:
    _, seen = built
    assert [name for name, _ in seen.stages] == ["read ONNX", "build engine"]
    assert seen.steps == sorted(seen.steps)
    assert seen.steps[-1] == seen.stages[-1][1]


def test_targets_are_what_it_builds_for(builder: Builder) -> None:
    assert {75, 86, 89, 120} <= set(builder.targets())
    with pytest.raises(Unsupported, match="sm_90") as caught:
        builder.build(convolution(1), BuildOptions(compute_capabilities=(90,)), Seen())
    assert "75" in caught.value.hint


def test_no_target_and_no_gpu(builder: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("converters.engines.tensorrt_rtx.gpus", tuple)
    with pytest.raises(ToolMissing, match="no GPU") as caught:
        builder.build(convolution(1), BuildOptions(), Seen())
    assert "compute_capabilities" in caught.value.hint


@pytest.mark.parametrize(
    ("profiles", "said"),
    [
        ((), "nothing about input x"),
        (({"x": Range((4, 3, 8, 8), (2, 3, 8, 8), (1, 3, 8, 8))},), "do not ascend"),
        (({"x": Range((1, 3, 8), (1, 3, 8), (1, 3, 8))},), "3 dimensions"),
        (({"x": Range((1, 2, 8, 8), (1, 2, 8, 8), (1, 2, 8, 8))},), "always 3"),
        (({**batches()[0], "z": Range((1,), (1,), (1,))},), "an input 'z'"),
    ],
)
def test_profiles_that_do_not_fit(builder: Builder, profiles: tuple[dict[str, Range], ...], said: str) -> None:
    with pytest.raises(Unsupported, match=said):
        builder.build(convolution(), BuildOptions(profiles=profiles, compute_capabilities=(89,)), Seen())


def test_unknown_operator_is_named_with_its_node(builder: Builder) -> None:
    with pytest.raises(Unsupported, match="Swirl") as caught:
        builder.build(foreign(), BuildOptions(compute_capabilities=(89,)), Seen())
    assert caught.value.place.node == "swirl (Swirl)"


def test_ctrl_c_ends_a_build(builder: Builder) -> None:
    seen = Seen(at_step=lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        builder.build(convolution(1), BuildOptions(compute_capabilities=(89,)), seen)
    assert len(seen.steps) == 1


def test_an_error_of_the_progress_comes_through(builder: Builder) -> None:
    def fail() -> None:
        raise ConversionError("the terminal is gone", hint="open it again")

    with pytest.raises(ConversionError, match="terminal is gone"):
        builder.build(convolution(1), BuildOptions(compute_capabilities=(89,)), Seen(at_step=fail))


def test_can_build_again_after_a_failure(builder: Builder, built: tuple[Plan, Seen]) -> None:
    with pytest.raises(Unsupported):
        builder.build(foreign(), BuildOptions(compute_capabilities=(89,)), Seen())
    again = builder.build(convolution(), BuildOptions(batches(), (89, 86)), Seen())
    assert validity.inspect(again.data) == validity.inspect(built[0].data)

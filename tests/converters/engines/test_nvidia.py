"""What both libraries share, tested with the one that builds without a GPU."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from converters.engines import messages as messages_module
from converters.engines import nvidia
from converters.engines.base import BuildOptions, Range
from converters.engines.messages import Messages
from converters.engines.tensorrt_rtx import RtxBuilder
from converters.errors import ConversionError, OutOfResources, ToolMissing, Unsupported
from tests.converters.engines.tiny_models import Seen, batches, convolution, foreign, model

pytest.importorskip("tensorrt_rtx", reason="there is no wheel of tensorrt-rtx for this platform")
ADA = BuildOptions(compute_capabilities=(89,))


def test_every_operator_that_is_refused_is_named() -> None:
    source = model(
        [
            helper.make_node("Swirl", ["x"], ["a"], name="first", domain="acme.ops"),
            helper.make_node("Whirl", ["a"], ["y"], name="second", domain="acme.ops"),
        ],
        {"x": [2]},
        {"y": [2]},
    )
    with pytest.raises(Unsupported) as caught:
        RtxBuilder().build(source, ADA, Seen())
    assert "first (Swirl): the builder knows no operator Swirl of 'acme.ops'" in caught.value.what
    assert "second (Whirl)" in caught.value.what


def test_onnx_operators_without_an_implementation() -> None:
    source = model([helper.make_node("StringNormalizer", ["x"], ["y"], name="lower")], {"x": [2]}, {"y": [2]})
    with pytest.raises(Unsupported, match="the builder has no StringNormalizer") as caught:
        RtxBuilder().build(source, ADA, Seen())
    assert caught.value.place.node == "lower (StringNormalizer)"


def test_inputs_of_a_type_that_operators_do_not_take() -> None:
    source = model(
        [helper.make_node("Neg", ["x"], ["y"], name="minus")], {"x": [2]}, {"y": [2]}, kind=TensorProto.UINT8
    )
    with pytest.raises(Unsupported, match="UINT8") as caught:
        RtxBuilder().build(source, ADA, Seen())
    assert ".cpp" not in str(caught.value)


def test_dimensions_named_with_a_question_mark_may_differ() -> None:
    source = convolution("?", side="?")
    profile = {"x": Range((1, 3, 8, 8), (2, 3, 8, 16), (4, 3, 8, 32))}
    plan = RtxBuilder().build(source, BuildOptions((profile,), (89,)), Seen())
    assert str(plan.signature.inputs[0]) == "x: FP32 [?, 3, ?, ?]"
    assert source == convolution("?", side="?")


def test_types_that_change_are_told() -> None:
    source = model(
        [helper.make_node("Neg", ["x"], ["y"], name="minus")], {"x": [2]}, {"y": [2]}, kind=TensorProto.DOUBLE
    )
    plan = RtxBuilder().build(source, ADA, Seen())
    assert plan.signature.inputs[0].datatype == "FP32"
    assert "'x' is FP64 in the model and FP32 in the engine" in plan.warnings


def test_several_profiles() -> None:
    profiles = (*batches(1, 1, 1), *batches(2, 4, 8))
    plan = RtxBuilder().build(convolution(), BuildOptions(profiles, (89,)), Seen())
    assert plan.profiles == profiles


def test_models_beyond_protobufs_limit_go_through_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(nvidia, "PROTOBUF_LIMIT", 1000)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    source = convolution(1, channels=64)
    plan = RtxBuilder().build(source, ADA, Seen())
    assert len(plan.data) > 1000
    assert source == convolution(1, channels=64)
    assert list(tmp_path.iterdir()) == []


def test_no_disk_for_those_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nvidia, "PROTOBUF_LIMIT", 1000)
    monkeypatch.setattr("onnx.save_model", full)
    with pytest.raises(OutOfResources, match="No space left on device") as caught:
        RtxBuilder().build(convolution(1, channels=64), ADA, Seen())
    assert "TMPDIR" in caught.value.hint


def test_an_error_that_is_kept_keeps_no_logger_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[Any]] = []

    def logger_of(trt: Any, messages: Messages) -> Any:
        logger = messages_module.logger_of(trt, messages)
        made.append(weakref.ref(logger))
        return logger

    monkeypatch.setattr(nvidia, "logger_of", logger_of)
    with pytest.raises(Unsupported) as caught:
        RtxBuilder().build(foreign(), ADA, Seen())
    gc.collect()
    assert [each() for each in made] == [None]
    assert caught.value.what


class Broken:
    """A library that fails at once."""

    __name__ = "tensorrt"

    class ILogger:
        ERROR = INTERNAL_ERROR = WARNING = 0

    def __init__(self, error: Exception) -> None:
        self._error = error

    def Builder(self, _logger: Any) -> None:  # noqa: N802 - the library's own name
        raise self._error


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (TypeError("pybind11::init(): factory function returned nullptr"), ToolMissing, "no GPU that it can use"),
        (MemoryError(), OutOfResources, "too little memory"),
    ],
)
def test_a_library_that_cannot_start(error: Exception, kind: type[ConversionError], said: str) -> None:
    library = nvidia.Library(Broken(error), "tensorrt", "10.0.0.0", lambda *_: None)
    with pytest.raises(kind, match=said):
        nvidia.build(library, convolution(1), BuildOptions(), Seen(), (90,))


OUT_OF_MEMORY = """
import resource, sys
import numpy as np
from onnx import helper
from converters.engines.base import BuildOptions
from converters.engines.tensorrt_rtx import RtxBuilder
from converters.errors import OutOfResources
from tests.converters.engines.tiny_models import Seen, model
weights = {f"w{i}": np.ones((1024, 1024), np.float32) for i in range(8)}
nodes = [helper.make_node("MatMul", [f"h{i}", f"w{i}"], [f"h{i + 1}"], name=f"n{i}") for i in range(8)]
source = model(nodes, {"h0": [4, 1024]}, {"h8": [4, 1024]}, weights)
builder = RtxBuilder()
builder.targets()
used = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmSize")) * 1024
limit = used + (int(sys.argv[1]) << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    builder.build(source, BuildOptions(compute_capabilities=(89,)), Seen())
except OutOfResources as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited in Linux' way")
def test_no_memory_left() -> None:
    done = subprocess.run(
        [sys.executable, "-c", OUT_OF_MEMORY, "250"], capture_output=True, text=True, check=False, timeout=60
    )
    assert "memory" in done.stdout, done
    assert "take a machine with more memory" in done.stdout
    assert "Traceback" not in done.stderr


def test_the_library_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    RtxBuilder().build(convolution(1), ADA, Seen())
    for options in (
        BuildOptions(compute_capabilities=(75,)),
        BuildOptions(compute_capabilities=(89,), workspace_mib=1),
    ):
        with pytest.raises(ConversionError):
            RtxBuilder().build(_products(), options, Seen())
    assert capfd.readouterr() == ("", "")


def _products() -> Any:
    weight = np.random.default_rng(0).standard_normal((512, 512)).astype(np.float32)
    return model(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")],
        {"x": [64, 512]},
        {"y": [64, 512]},
        {"w": weight},
    )

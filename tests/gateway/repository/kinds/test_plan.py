from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.description import Description, Hints, Tensor
from gateway.repository.kinds.base import Target
from gateway.repository.kinds.plan import PlanKind, compute_capabilities

KIND = PlanKind()
ENGINE = b"ftrt\x00\x00\x00\x00\x01\x00\x00\x00" + bytes(range(256))
ULTRALYTICS = json.dumps({"description": "a detector", "task": "detect"}).encode()
HINTS = Hints(inputs=(Tensor("x", "FP32", (-1, 3)),), outputs=(Tensor("y", "FP32", (-1, 2)),))


@pytest.fixture
def target(tmp_path: Path) -> Target:
    made = Target(tmp_path / "target", tmp_path / "target" / "1")
    made.version.mkdir(parents=True)
    return made


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    (tmp_path / "net.engine").write_bytes(ENGINE)
    return tmp_path / "net.engine"


@pytest.fixture
def without_tensorrt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)


def tensorrt(tensors: Mapping[str, tuple[str, str, tuple[int, ...]]] | None) -> ModuleType:
    """A double of the part of TensorRT 10 that is used; None for an engine that it cannot open."""
    names = list(tensors or {})
    opened = SimpleNamespace(
        num_io_tensors=len(names),
        get_tensor_name=names.__getitem__,
        get_tensor_mode=lambda name: (tensors or {})[name][0],
        get_tensor_dtype=lambda name: SimpleNamespace(name=(tensors or {})[name][1]),
        get_tensor_shape=lambda name: (tensors or {})[name][2],
        get_tensor_profile_shape=lambda *_: [(1, 3), (4, 3), (8, 3)],
    )
    module: Any = ModuleType("tensorrt")
    module.__version__ = "10.16"
    module.Logger = type("Logger", (), {"ERROR": 1, "__init__": lambda *_: None})
    module.TensorIOMode = SimpleNamespace(INPUT="in")
    module.Runtime = lambda _: SimpleNamespace(deserialize_cuda_engine=lambda _: opened if names else None)
    return module  # type: ignore[no-any-return]  # built above


@pytest.mark.usefixtures("without_tensorrt")
def test_hints_tell_what_tensorrt_would(engine: Path, target: Target) -> None:
    description = KIND.prepare(engine, target, HINTS)
    assert description == Description(
        kind="plan",
        backend="tensorrt",
        framework=None,
        inputs=HINTS.inputs,
        outputs=HINTS.outputs,
        batches=True,
        filename="model.plan",
        size_bytes=len(ENGINE),
        origin={"format": "TensorRT engine"},
    )
    assert (target.version / "model.plan").read_bytes() == ENGINE


@pytest.mark.usefixtures("without_tensorrt")
def test_without_tensorrt_and_hints_the_ways_out_are_named(engine: Path, target: Target) -> None:
    with pytest.raises(ModelRefused, match=r"can't be looked into here.*model\.yaml.*config\.pbtxt.*external Triton"):
        KIND.prepare(engine, target, Hints())


def test_tensorrt_tells_where_it_is_installed(engine: Path, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"x": ("in", "FLOAT", (-1, 3)), "y": ("out", "HALF", (-1, 2))}
    monkeypatch.setitem(sys.modules, "tensorrt", tensorrt(told))
    description = KIND.prepare(engine, target, Hints())
    assert description.inputs == (Tensor("x", "FP32", (-1, 3)),)
    assert description.outputs == (Tensor("y", "FP16", (-1, 2)),)
    assert description.ambiguous == (
        "the engine was built for batches of up to 8: say max_batch_size: 8 in model.yaml",
    )


def test_an_engine_of_another_gpu_or_version_is_refused(
    engine: Path, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", tensorrt(None))
    with pytest.raises(ModelRefused, match=r"cannot be opened by TensorRT 10\.16"):
        KIND.prepare(engine, target, Hints())
    monkeypatch.setitem(sys.modules, "tensorrt", tensorrt({"x": ("in", "FP8", (1,))}))
    with pytest.raises(ModelRefused, match="'x' is FP8, which Triton cannot carry"):
        KIND.prepare(engine, target, Hints())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1", "is no TensorRT engine"),
        (b"\x08\x09\x12\x05hands" + bytes(100), "is no TensorRT engine"),
        (len(ULTRALYTICS).to_bytes(4, "little") + ULTRALYTICS + ENGINE, "as Ultralytics writes it"),
    ],
)
def test_what_is_no_engine_is_refused(tmp_path: Path, target: Target, content: bytes, reason: str) -> None:
    (tmp_path / "m.plan").write_bytes(content)
    with pytest.raises(ModelRefused, match=reason):
        KIND.prepare(tmp_path / "m.plan", target, HINTS)


def test_the_gpus_that_an_engine_is_for(engine: Path, tmp_path: Path, target: Target) -> None:
    # As TensorRT for RTX 1.7.1.116 wrote them for SM86 and SM89.
    head = bytes.fromhex("76747274000000000200000000000000300000000000000001070174767472740c00000000000000")
    (tmp_path / "rtx.plan").write_bytes(head.ljust(48, b"\0"))
    assert compute_capabilities(tmp_path / "rtx.plan") == (86, 89)
    (tmp_path / "rtx.plan").write_bytes(head)
    with pytest.raises(ModelRefused, match=r"'rtx\.plan' is cut short: it has 40 of its 48 bytes; copy it again"):
        KIND.prepare(tmp_path / "rtx.plan", target, HINTS)
    (tmp_path / "short.plan").write_bytes(head[:10])
    for other in (engine, tmp_path / "short.plan", tmp_path / "absent.plan"):
        assert compute_capabilities(other) == ()


def test_what_is_recognised(engine: Path, tmp_path: Path) -> None:
    assert KIND.recognise(engine)
    assert not KIND.recognise(tmp_path / "absent.plan")
    assert not KIND.recognise(tmp_path)
    assert KIND.companions(engine) == ()
    assert KIND.reference(tmp_path, Description("plan", "tensorrt", None, (), (), False, "model.plan"), {}) == {}

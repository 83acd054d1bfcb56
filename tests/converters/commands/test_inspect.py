from pathlib import Path

import pytest

from converters.engines.record import EngineRecord, Lineage, put
from converters.engines.validity import pack_header
from tests.converters.commands.running import refused, run

PLAN = pack_header(b"vtrt", "1.7.1.116", (86, 120), 64)
RECORD = EngineRecord(
    file="a.plan", sha256="00", size_bytes=64, format="plan", builder="tensorrt_rtx", builder_version="1.7.1.116",
    precision="int8", source=Lineage("pitch", 3, "savedmodel", "ab" * 32, 18), onnx_sha256="", seconds=1.0,
    built_at="2026-01-02T03:04:05+00:00", converters_version="1", gate={"ran": "onnx", "passed": True},
    profiles=({"x": {"min": [1, 8], "opt": [4, 8], "max": [8, 8]}},),
)  # fmt: skip


def test_an_onnx_model(here: Path) -> None:
    assert run("inspect", "small.onnx").output.splitlines() == [
        "ONNX, opset 18, fp32, 5 nodes, 0.0 MB",
        "  input x: FP32 [batch, 8]",
        "  output y: FP32 [batch, 4]",
        "  MatMul 2, Gemm 1, Relu 1, Sigmoid 1",
    ]
    assert run("inspect", "small.onnx", "--nodes").output.splitlines()[3:5] == ["first (Gemm)", "relu (Relu)"]


def test_an_engine_by_its_header_whatever_its_name(here: Path) -> None:
    (here / "thing").write_bytes(PLAN)
    lines = run("inspect", "thing").output.splitlines()
    assert lines[0] == "engine of tensorrt_rtx 1.7.1.116 for sm_86, sm_120, 0.0 MB"
    assert "no engine.json" in lines[1]


def test_where_an_engine_comes_from(here: Path) -> None:
    (here / "a.plan").write_bytes(PLAN)
    put(here, RECORD)
    assert run("inspect", "a.plan").output.splitlines()[1:] == [
        "  made from pitch version 3 (savedmodel, sha256 abababababab), int8",
        "  built 2026-01-02T03:04:05+00:00; gate: passed by its ONNX; the engine itself was not run",
        "  profile 0: x [1, 8] to [8, 8], tuned for [4, 8]",
    ]


def test_another_model(here: Path) -> None:
    (here / "pitch/1").mkdir(parents=True)
    (here / "small.onnx").rename(here / "pitch/1/model.onnx")
    assert run("inspect", "pitch").output.startswith("onnx pitch version 1, sha256 ")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.plan", PLAN[:40], "a.plan, inspect: the engine has 40 bytes, fewer than its header: it was cut off"),
        ("a.plan", PLAN + b"x", "a.plan, inspect: the engine has 65 bytes and its header says 64"),
        ("a.plan", b"none", "a.plan, inspect: this is no TensorRT engine"),
        ("a.onnx", b"none", "a.onnx, inspect: 'a.onnx' is no ONNX model"),
        ("a.txt", b"none", "a.txt, inspect: 'a.txt' is not what its name says"),
        ("a.zip", b"none", "a.zip, inspect: 'a.zip' is of no known format; known are"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(here: Path, name: str, content: bytes, told: str) -> None:
    (here / name).write_bytes(content)
    assert told in refused(1, "inspect", name)

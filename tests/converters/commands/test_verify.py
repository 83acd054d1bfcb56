from pathlib import Path

import onnx
import pytest

from converters.engines.validity import pack_header
from tests.converters.build.building import small_model
from tests.converters.commands.running import refused, run


@pytest.fixture
def half(here: Path) -> str:
    assert run("precision", "small.onnx", "--to", "fp16", "-o", "half.onnx").exit_code == 0
    return "half.onnx"


def test_the_limits_are_those_of_the_results_precision(half: str) -> None:
    result = run("verify", "small.onnx", half, "--data", "verification.npz")
    assert result.exit_code == 0, result.output
    assert "half.onnx (onnxruntime" in result.stdout
    assert "16 samples" in result.stdout
    assert "✓ half.onnx gate  passed" in result.stderr


def test_a_gate_that_fails_exits_with_3_after_the_table(half: str) -> None:
    told = refused(3, "verify", "small.onnx", half, "--data", "synthetic:2", "--max-abs", "1e-9")
    assert "half.onnx, gate: it is not as good as the original: output 'y': max_abs is" in told
    assert "max abs" in run("verify", "small.onnx", half, "--data", "synthetic:2", "--as", "fp32").stdout


def test_a_measure_of_ones_own(half: str) -> None:
    passed = run("verify", "small.onnx", half, "--data", "own.py:data", "--metric", "own.py:same>=0.9")
    assert passed.exit_code == 0, passed.output
    assert "own.py:same: 1" in passed.stdout
    told = refused(3, "verify", "small.onnx", half, "--data", "own.py:data", "--metric", "own.py:same<=0.9")
    assert "own.py:same is 1, and 0.9 is the limit" in told


def test_nan_in_a_result_fails(here: Path) -> None:
    broken = small_model()
    broken.graph.initializer[3].raw_data = b"\xff" * len(broken.graph.initializer[3].raw_data)
    onnx.save(broken, "nan.onnx")
    assert "output 'y': nan is 64, and 0 is the limit" in refused(
        3, "verify", "small.onnx", "nan.onnx", "--data", "verification.npz"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (
            ["small.onnx", "small.onnx", "--data", "wrong.npz"],
            1,
            "small.onnx, gate: batch 1 of wrong.npz: input 'x' is",
        ),
        (
            ["small.onnx", "cut.plan", "--data", "own.py:data"],
            1,
            "cut.plan, gate: the engine has 70 bytes and its head",
        ),
        (["small.onnx", "own.py", "--data", "own.py:data"], 1, "own.py, gate: 'own.py' is no ONNX model"),
        (["cut.plan", "small.onnx", "--data", "own.py:data"], 1, "is an engine, from which no other can be built"),
        (["small.onnx", "small.onnx", "--data", "own.py:no"], 2, "'own.py' has no function 'no'"),
        (["small.onnx", "small.onnx", "--data", "own.py:data", "--metric", "x"], 2, "--metric x cannot be read"),
        (["small.onnx", "small.onnx", "--data", "own.py:data", "--metric", "own.py:no>=1"], 2, "no function 'no'"),
    ],
    ids=str,
)
def test_what_is_wrong_is_told_in_a_line(here: Path, arguments: list[str], code: int, told: str) -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX has no wheel for this platform")
    (here / "cut.plan").write_bytes(pack_header(b"vtrt", "1.7.1.116", (86,), 100) + b"123456")
    assert told in refused(code, "verify", *arguments)

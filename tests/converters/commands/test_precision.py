from pathlib import Path

import onnx
import pytest

from converters.precision.types import precision_of
from tests.converters.commands.running import refused, run


def convert(to: str, *arguments: str) -> onnx.ModelProto:
    result = run("precision", "small.onnx", "--to", to, "-o", f"{to}.onnx", *arguments)
    assert result.exit_code == 0, result.output
    assert f"✓ small.onnx {to}  0.0 MB -> 0.0 MB: {to}.onnx" in result.stderr
    return onnx.load(f"{to}.onnx")


def test_16_bits(here: Path) -> None:
    assert precision_of(convert("fp16")) == "fp16"
    changed = convert("bf16", "--change-io")
    assert changed.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.BFLOAT16


def test_8_bits_with_data(here: Path) -> None:
    assert precision_of(convert("int8", "--data", "calibration.npz", "--method", "entropy")) == "int8"
    assert precision_of(convert("fp8", "--data", "own.py:data")) == "fp8"


def test_nodes_are_kept_and_operators_chosen(here: Path) -> None:
    weights = {each.name: each.data_type for each in convert("fp16", "--keep", "fi*").graph.initializer}
    assert weights["w1"] == onnx.TensorProto.FLOAT
    chosen = convert("int8", "--data", "calibration.npz", "--operator", "Gemm")
    assert [n.name for n in chosen.graph.node if n.op_type == "MatMul"] == ["second", "third"]
    assert "w2" in {each.name for each in chosen.graph.initializer if each.data_type == onnx.TensorProto.FLOAT}


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (
            ["--to", "int8"],
            2,
            "small.onnx, int8: int8 needs calibration data; give some hundred real samples by --data",
        ),
        (["--to", "int8", "--data", "none.npz"], 1, "small.onnx, int8: there is no file none.npz"),
        (["--to", "int8", "--data", "wrong.npz"], 1, "has the shape [4, 9], and the model takes [batch, 8]"),
        (["--to", "int8", "--data", "synthetic:x"], 2, "'x' is no number of batches"),
        (["--to", "fp16", "--keep", "none"], 2, "no node is called 'none'; 'triton-convert"),
    ],
    ids=str,
)
def test_what_is_wrong_is_told_in_a_line(here: Path, arguments: list[str], code: int, told: str) -> None:
    assert told in refused(code, "precision", "small.onnx", *arguments, "-o", "out.onnx")
    assert not (here / "out.onnx").exists()


def test_a_model_that_was_converted_is_no_source(here: Path) -> None:
    convert("fp16")
    told = refused(1, "precision", "fp16.onnx", "--to", "bf16", "-o", "out.onnx")
    assert told == "fp16.onnx, bf16: the model is fp16 already; give the FP32 model that it was made from"

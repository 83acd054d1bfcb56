from pathlib import Path

import pytest

from converters.commands.signatures import known_signature, show


def test_the_first_onnx_file_tells_the_inputs(here: Path) -> None:
    signature = known_signature(["own.py:module", "missing.onnx", "small.onnx"])
    assert signature is not None
    assert [str(tensor) for tensor in signature.inputs] == ["x: FP32 [batch, 8]"]
    assert known_signature(["own.py:module", here]) is None


def test_inputs_and_outputs_are_shown(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    signature = known_signature(["small.onnx"])
    assert signature is not None
    show(signature)
    assert capsys.readouterr().out.splitlines() == ["  input x: FP32 [batch, 8]", "  output y: FP32 [batch, 4]"]

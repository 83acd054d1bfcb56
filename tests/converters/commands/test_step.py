from pathlib import Path

import pytest

from converters.commands.step import step
from converters.errors import BadData, ConversionError, Place
from converters.to_onnx.frameworks import deaf, quiet


def test_a_step_tells_on_standard_error_what_came_out(capfd: pytest.CaptureFixture[str]) -> None:
    with step("pitch.onnx", "int8") as told:
        told.stage("calibrating", 3)
        told.done("0.3 MB")
    out, err = capfd.readouterr()
    assert (out, err) == ("", "✓ pitch.onnx int8  0.3 MB\n")


def test_it_is_told_while_exporters_are_kept_from_chattering(capfd: pytest.CaptureFixture[str]) -> None:
    with step("pitch.onnx", "to ONNX") as told, quiet(), deaf(2):
        told.done("0.3 MB")
    assert "0.3 MB" in capfd.readouterr().err


def test_what_goes_wrong_has_its_place_and_no_line_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BadData) as caught, step("pitch.onnx", "int8"):
        raise BadData("it is empty", hint="fill it")
    assert caught.value.place == Place("pitch.onnx", "int8", "")
    assert capfd.readouterr().err == ""


def test_any_file_may_be_missing() -> None:
    told = r"pitch\.onnx, int8: '/nowhere/x' cannot be used: No such file"
    with pytest.raises(ConversionError, match=told), step("pitch.onnx", "int8"):
        Path("/nowhere/x").read_bytes()

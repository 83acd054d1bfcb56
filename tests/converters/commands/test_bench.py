import json
from pathlib import Path

import pytest

from converters.engines.validity import pack_header
from tests.converters.commands.running import refused, run

QUICK = ("--rounds", "1", "--batch", "2")


def test_models_side_by_side_on_random_numbers(here: Path) -> None:
    assert run("precision", "small.onnx", "--to", "fp16", "-o", "half.onnx").exit_code == 0
    result = run("bench", "small.onnx", "half.onnx", *QUICK)
    assert result.exit_code == 0, result.output
    assert "half.onnx" in result.stdout
    assert "Faster" in result.stdout


def test_figures_for_programs(here: Path) -> None:
    result = run(
        "bench", "small.onnx", *QUICK, "--data", "own.py:data", "--concurrency", "2", "--threads", "1", "--json"
    )
    (measured,) = json.loads(result.stdout)["measurements"]
    assert (measured["variant"], measured["batch_size"], measured["concurrency"]) == ("small.onnx", 2, 2)


def test_other_models_tell_their_inputs_by_becoming_onnx(here: Path) -> None:
    result = run("bench", "own.py:trees", *QUICK, "--json")
    assert json.loads(result.stdout)["measurements"][0]["p50_ms"] > 0


def test_what_cannot_be_run_here_is_listed_beside_what_can(here: Path) -> None:
    (here / "a.plan").write_bytes(pack_header(b"vtrt", "0.0.0.1", (86,), 64))
    result = run("bench", "small.onnx", "a.plan", *QUICK, "--json")
    (left_out,) = json.loads(result.stdout)["not_run"]
    assert left_out["variant"] == "a.plan"


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["none.onnx"], 1, "none.onnx, bench: there is no 'none.onnx'"),
        (["small.onnx", "--data", "wrong.npz"], 1, "small.onnx, bench: nothing could be run; input 'x' is FP32 [2, 9]"),
        (["small.onnx", "small.onnx"], 2, "two variants have one name"),
        (["a.plan"], 2, "engines alone do not tell what they take; give input by --data"),
    ],
    ids=str,
)
def test_what_is_wrong_is_told_in_a_line(here: Path, arguments: list[str], code: int, told: str) -> None:
    (here / "a.plan").write_bytes(pack_header(b"vtrt", "1.7.1.116", (86,), 64))
    assert told in refused(code, "bench", *arguments, *QUICK)

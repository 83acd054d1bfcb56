import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from converters.graph.signature import signature_of
from tests.converters.build.building import small_model
from tests.converters.commands.running import refused, run


def shapes(path: Path) -> list[str]:
    signature = signature_of(onnx.load(path))
    return [str(tensor) for tensor in (*signature.inputs, *signature.outputs)]


def test_a_pytorch_module_with_names_and_shapes_as_asked_for(here: Path) -> None:
    result = run("onnx", "own.py:module", "-o", "new/out.onnx", "--data", "own.py:traced", "--name-output", "scores")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "  output scores: FP32 [batch, 3]"
    assert "✓ own.py:module to ONNX  factory, opset" in result.stderr
    assert shapes(here / "new/out.onnx")[-1] == "scores: FP32 [batch, 3]"


def test_trees_are_written_out_for_tensorrt(here: Path) -> None:
    assert run("onnx", "own.py:trees", "-o", "trees.onnx").exit_code == 0
    assert run("onnx", "own.py:trees", "-o", "lowered.onnx", "--tensor-operators").exit_code == 0
    domains = [{node.domain for node in onnx.load(name).graph.node} for name in ("trees.onnx", "lowered.onnx")]
    assert "ai.onnx.ml" in domains[0]
    assert domains[1] == {""}


def test_dimensions_become_fixed(here: Path) -> None:
    assert run("onnx", "small.onnx", "-o", "fixed.onnx", "--fixed", "x:0=4").exit_code == 0
    assert shapes(here / "fixed.onnx") == ["x: FP32 [4, 8]", "y: FP32 [4, 4]"]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["nothing.onnx"], 1, "nothing.onnx, to ONNX: there is no 'nothing.onnx'; check the path"),
        (["cut.onnx"], 1, "cut.onnx, to ONNX: 'cut.onnx' is no ONNX model, or is cut short; export"),
        (["custom.onnx"], 1, "node swirl (acme.Swirl): ONNX has no operator for acme.Swirl; replace it"),
        (["own.py:nothing"], 2, "own.py:nothing, to ONNX: 'own.py' has no function 'nothing'"),
        (["own.py:module"], 1, "there is no sample of its inputs ('input'); give data"),
        (["small.onnx", "--dynamic", "x"], 2, "--dynamic x cannot be read; write INPUT:AXIS=NAME"),
        (["small.onnx", "--fixed", "z:0=1"], 2, "no input 'z'"),
        (["small.onnx", "--data", "none.npz"], 1, "there is no file none.npz"),
    ],
    ids=str,
)
def test_what_is_wrong_is_told_in_a_line(here: Path, arguments: list[str], code: int, told: str) -> None:
    (here / "cut.onnx").write_bytes((here / "small.onnx").read_bytes()[:500])
    custom = small_model()
    custom.graph.node[1].CopyFrom(onnx.helper.make_node("Swirl", ["h"], ["r"], name="swirl", domain="acme"))
    custom.opset_import.append(onnx.helper.make_opsetid("acme", 1))
    onnx.save(custom, here / "custom.onnx")
    assert told in refused(code, "onnx", *arguments, "-o", "out.onnx")
    assert not (here / "out.onnx").exists()


def test_a_full_disk_leaves_nothing_behind(here: Path) -> None:
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); import converters.cli as cli; "
    run_it = "cli.main(['onnx', 'small.onnx', '-o', 'out.onnx'])"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-c", limited + run_it]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert "is full; 'out.onnx' was not written" in told.stderr
    assert len(told.stderr.splitlines()) == 1
    assert [path.name for path in here.iterdir() if "out.onnx" in path.name] == []

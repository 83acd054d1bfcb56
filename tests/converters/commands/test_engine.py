from pathlib import Path

import pytest

from converters.engines.record import read
from converters.graph.files import digest_of_file
from tests.converters.commands.running import refused, run

pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX has no wheel for this platform")


def test_an_engine_and_what_it_is(here: Path) -> None:
    for name in ("a.plan", "b.plan", "a.plan"):
        result = run(
            "engine", "small.onnx", "-o", f"new/{name}", "--sm", "86", "--sm", "120", "--batch", "1,4,8", "--no-tf32"
        )
        assert result.exit_code == 0, result.output
    assert "✓ small.onnx engine tensorrt_rtx  tensorrt_rtx 1." in result.stderr
    assert "sm_86, sm_120" in result.stderr
    records = {record.file: record for record in read(here / "new")}
    assert set(records) == {"a.plan", "b.plan"}
    record = records["a.plan"]
    assert record.sha256 == digest_of_file(here / "new/a.plan")
    assert record.onnx_sha256 == record.source.sha256 == digest_of_file(here / "small.onnx")
    assert (record.precision, record.compute_capabilities, record.options) == ("fp32", (86, 120), {"tf32": False})
    assert record.profiles == ({"x": {"min": [1, 8], "opt": [4, 8], "max": [8, 8]}},)


def test_trees_become_tensor_operators_first(here: Path) -> None:
    assert run("onnx", "own.py:trees", "-o", "trees.onnx").exit_code == 0
    result = run("engine", "trees.onnx", "-o", "trees.plan", "--sm", "86")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ([], 1, "no target is named, and this machine has no GPU to take it from; name targets (compute_capabilities"),
        (["--sm", "42"], 1, "tensorrt_rtx does not build for sm_42; choose among 75"),
        (["--sm", "86", "--batch", "8,1"], 2, "--batch 8,1 cannot be read; write MIN,OPT,MAX, as 1,8,32"),
        (["--sm", "86", "--shape", "z:1=2"], 2, "small.onnx, engine tensorrt_rtx: "),
        (["--builder", "tensorrt"], 1, "small.onnx, engine tensorrt: TensorRT is not installed"),
    ],
    ids=str,
)
def test_what_is_wrong_is_told_in_a_line(
    here: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, told: str
) -> None:
    monkeypatch.setattr("converters.engines.tensorrt_rtx.gpus", tuple)
    monkeypatch.setitem(__import__("sys").modules, "tensorrt", None)
    assert told in refused(code, "engine", "small.onnx", "-o", "out.plan", *arguments)
    assert not (here / "out.plan").exists()

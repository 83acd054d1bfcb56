from pathlib import Path

import pytest

from converters.build.results import BuildResult, Built, ModelResult, Problem, VariantResult
from converters.commands.build import exit_code
from tests.converters.commands.running import refused, run

CONFIG = """
output: out
repository: repository
targets:
  cpu: {builder: onnxruntime}
models:
  small:
    source: small.onnx
    data: {verification: {npz: verification.npz}}
    targets: [cpu]
    variants:
      fp16: {precision: fp16}
"""
GATE, OTHER = Problem("Refused", "gate", "", "", ""), Problem("BadData", "int8", "", "", "")


@pytest.fixture
def config(here: Path) -> Path:
    (here / "engines.yaml").write_text(CONFIG)
    return here / "engines.yaml"


def result(*models: ModelResult) -> BuildResult:
    return BuildResult("", 1.0, "", {}, models)


@pytest.mark.parametrize(
    ("models", "code"),
    [
        ([ModelResult("a", "a.onnx")], 0),
        ([ModelResult("a", "a.onnx", problem=GATE)], 3),
        ([ModelResult("a", "a.onnx", variants=(VariantResult("v", "int8", problem=GATE),))], 3),
        ([ModelResult("a", "a.onnx", problem=GATE), ModelResult("b", "b.onnx", problem=OTHER)], 1),
        ([ModelResult("a", "", variants=(VariantResult("v", "int8", built=(Built("t", "rtx", problem=OTHER),)),))], 1),
    ],
    ids=["well", "gate", "variant's gate", "gate and more", "target"],
)
def test_the_exit_code_tells_gates_from_other_failures(models: list[ModelResult], code: int) -> None:
    assert exit_code(result(*models)) == code


def test_a_build_publishes_and_reports_and_the_next_one_has_nothing_to_do(config: Path, here: Path) -> None:
    first = run("build", f"--config={config}")
    assert first.exit_code == 0, first.output
    assert "1 models, 1 variants, 1 results (0 known already)" in first.output
    assert (here / "repository/small_fp16_cpu/1/model.onnx").is_file()
    told = first.output.rpartition("Report: ")[2].split(", ")
    assert all(Path(each.strip()).is_file() for each in told)
    second = run("build", f"--config={config}")
    assert second.exit_code == 0, second.output
    assert "1 results (1 known already)" in second.output
    assert "= small publish fp16 cpu  small_fp16_cpu/1 unchanged" in second.output


def test_a_gate_that_fails_exits_with_3_and_publishes_nothing(config: Path, here: Path) -> None:
    config.write_text(CONFIG.replace("fp16}", "fp16, gate: {max_abs: 1.0e-12}}"))
    failed = run("build", f"--config={config}")
    assert failed.exit_code == 3, failed.output
    assert "Not as asked: small; nothing of what failed was published" in failed.output
    assert not (here / "repository").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--model", "smal"], "there is no model 'smal'; did you mean 'small'?"),
        (["--set", "nope=1"], "unknown key 'nope'"),
        (["--set", "jobs=none"], "jobs"),
        (["--config", "none.yaml"], "none.yaml: there is no such file"),
    ],
)
def test_misuse_is_told_in_a_line(config: Path, here: Path, arguments: list[str], told: str) -> None:
    assert told in refused(2, "build", f"--config={config}", *arguments)
    assert not (here / "out").exists()

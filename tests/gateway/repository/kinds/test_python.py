from __future__ import annotations

from pathlib import Path

import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.description import Description, Hints, Tensor
from gateway.repository.kinds.base import Target
from gateway.repository.kinds.python import PythonKind

KIND = PythonKind()
CODE = """
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests: list[pb_utils.InferenceRequest]) -> list[pb_utils.InferenceResponse]:
        return []
"""
COMPLETING = (
    CODE
    + """
    @staticmethod
    def auto_complete_config(config):
        config.add_input({"name": "TEXT", "data_type": "TYPE_STRING", "dims": [1]})
        config.add_output({"name": "LENGTH", "data_type": "TYPE_INT64", "dims": [-1]})
        config.set_max_batch_size(16)
        config.set_dynamic_batching()
        return config
"""
)
CONFIG = """
max_batch_size: 4
input { name: "A" data_type: TYPE_FP32 dims: [ 3 ] }
output { name: "B" data_type: TYPE_FP32 dims: [ 2 ] label_filename: "classes.txt" }
"""


@pytest.fixture
def target(tmp_path: Path) -> Target:
    made = Target(tmp_path / "target", tmp_path / "target" / "1")
    made.version.mkdir(parents=True)
    return made


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "model.py").write_text(CODE)
    return tmp_path / "drop"


def prepare(source: Path, target: Target, hints: Hints | None = None) -> Description:
    return KIND.prepare(source, target, hints or Hints())


def refusal(source: Path, target: Target) -> str:
    with pytest.raises(ModelRefused) as refused:
        prepare(source, target)
    return refused.value.message


def test_the_code_itself_tells_the_inputs_and_outputs(drop: Path, target: Target) -> None:
    (drop / "model.py").write_text(COMPLETING)
    (drop / "words.txt").write_text("a\nb\n")
    (drop / "labels.txt").write_text("a\nb\n")
    description = prepare(drop, target)
    assert description == Description(
        kind="python",
        backend="python",
        framework=None,
        inputs=(Tensor("TEXT", "BYTES", (-1, 1)),),
        outputs=(Tensor("LENGTH", "INT64", (-1, -1)),),
        batches=True,
        filename="model.py",
        size_bytes=len(COMPLETING) + 4 + 4,
        origin={"format": "Triton Python model"},
    )
    assert sorted(path.name for path in target.version.iterdir()) == ["labels.txt", "model.py", "words.txt"]
    assert sorted(path.name for path in target.model.iterdir()) == ["1", "config.pbtxt", "labels.txt"]
    assert (target.model / "config.pbtxt").read_text() == "max_batch_size: 16\n"


def test_a_model_that_gives_many_answers_says_so_in_the_configuration(drop: Path, target: Target) -> None:
    policy = '    config.set_model_transaction_policy({"decoupled": True})\n        return config'
    (drop / "model.py").write_text(COMPLETING.replace("    return config", policy))
    prepare(drop, target)
    assert "model_transaction_policy { decoupled: true }" in (target.model / "config.pbtxt").read_text()


def test_a_configuration_in_the_folder_is_kept_as_it_is(drop: Path, target: Target) -> None:
    (drop / "config.pbtxt").write_text(CONFIG)
    (drop / "classes.txt").write_text("cat\ndog\n")
    description = prepare(drop, target)
    assert description.inputs == (Tensor("A", "FP32", (-1, 3)),)
    assert description.outputs == (Tensor("B", "FP32", (-1, 2), labels="classes.txt"),)
    assert (target.model / "config.pbtxt").read_text() == CONFIG
    assert (target.model / "classes.txt").is_file()


def test_the_code_completes_a_configuration(drop: Path, target: Target) -> None:
    (drop / "model.py").write_text(COMPLETING)
    (drop / "config.pbtxt").write_text('input { name: "TEXT" data_type: TYPE_STRING dims: [ 1 ] }\n')
    description = prepare(drop, target)
    assert [tensor.name for tensor in (*description.inputs, *description.outputs)] == ["TEXT", "LENGTH"]
    assert (target.model / "config.pbtxt").read_text().endswith("max_batch_size: 16\n")


def test_what_only_people_and_the_gateway_read_is_not_served(drop: Path, target: Target) -> None:
    (drop / "model.py").write_text(COMPLETING)
    for name in ("README.md", "model.yaml", "sample.npz"):
        (drop / name).write_text("")
    for name in ("__pycache__", "weights"):
        (drop / name).mkdir()
        (drop / name / "file").write_text("")
    prepare(drop, target)
    assert sorted(path.name for path in target.version.iterdir()) == ["model.py", "weights"]
    assert sorted(path.name for path in target.model.iterdir()) == ["1", "README.md", "config.pbtxt"]


def test_hints_tell_the_inputs_and_outputs(drop: Path, target: Target) -> None:
    hints = Hints(inputs=(Tensor("A", "FP32", (-1, 3)),), outputs=(Tensor("B", "FP32", (-1,)),))
    description = prepare(drop, target, hints)
    assert (description.inputs, description.outputs, description.batches) == (hints.inputs, hints.outputs, True)


def test_modules_beside_the_model_can_be_imported_both_ways(drop: Path, target: Target) -> None:
    (drop / "first.py").write_text("NAME = 'TEXT'")
    (drop / "second.py").write_text("SIZE = 16")
    imports = "import first\nfrom . import second\nassert (first.NAME, second.SIZE) == ('TEXT', 16)\n"
    (drop / "model.py").write_text(imports + COMPLETING)
    assert prepare(drop, target).batches
    assert not list(target.version.glob("__pycache__"))


def test_nothing_tells_the_inputs_and_outputs(drop: Path, target: Target) -> None:
    message = refusal(drop, target)
    assert "nothing says what the inputs and outputs of model.py are" in message
    assert all(way in message for way in ("auto_complete_config", "model.yaml", "config.pbtxt"))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("class Model: ...", "model.py has no class TritonPythonModel"),
        ("class TritonPythonModel:\n    x = 1", "has no method execute"),
        ("def broken(:\n    pass", "model.py line 1: invalid syntax"),
        ("import a_package_that_nobody_has\n" + CODE, "No module named 'a_package_that_nobody_has' (model.py line 1)"),
        ("raise SystemExit(3)\n" + CODE, "model.py cannot be imported: SystemExit: 3 (model.py line 1)"),
        (COMPLETING.replace("return config", "return None"), "must return the configuration that it was given"),
        (COMPLETING.replace("TYPE_STRING", "TYPE_STIRNG"), "tensor 'TEXT': 'TYPE_STIRNG' is no datatype"),
        (
            COMPLETING.replace('"dims": [1]', '"shape": [1]'),
            "auto_complete_config fails: ValueError: input 'TEXT' lacks",
        ),
    ],
)
def test_what_is_wrong_with_the_code_is_said(drop: Path, target: Target, code: str, reason: str) -> None:
    (drop / "model.py").write_text(code)
    assert reason in refusal(drop, target)


def test_a_class_that_comes_from_another_module_is_taken(drop: Path, target: Target) -> None:
    (drop / "network.py").write_text(COMPLETING)
    (drop / "model.py").write_text("from network import TritonPythonModel")
    assert prepare(drop, target).batches


def test_a_wrong_configuration_is_refused(drop: Path, target: Target) -> None:
    (drop / "config.pbtxt").write_text("max_batch_sise: 3")
    assert "config.pbtxt, line 1" in refusal(drop, target)
    (drop / "config.pbtxt").write_text(CONFIG)
    assert "names the label file 'classes.txt'" in refusal(drop, target)


def test_links_out_of_the_folder_are_refused(drop: Path, target: Target) -> None:
    (drop / "passwords").symlink_to("/etc/passwd")
    assert "'passwords' is a link that leaves the folder" in refusal(drop, target)


def test_what_is_recognised(drop: Path, tmp_path: Path) -> None:
    assert KIND.recognise(drop)
    assert not KIND.recognise(drop / "model.py")
    assert not KIND.recognise(tmp_path / "absent")
    assert not KIND.recognise(tmp_path)
    (drop / "1").mkdir()
    assert not KIND.recognise(drop)
    assert KIND.companions(drop) == ()
    assert KIND.reference(drop, Description("python", "python", None, (), (), False, "model.py"), {}) == {}

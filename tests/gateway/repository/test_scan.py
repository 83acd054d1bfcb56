"""Looking through a repository: what is served, what is not, and why."""

import sys
from pathlib import Path

import pytest

from gateway.core.errors import SetupError
from gateway.repository import scan as module
from gateway.repository.scan import ModelFolder, scan


@pytest.fixture(autouse=True)
def everything_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "installed_frameworks", lambda: frozenset({"onnx", "pytorch", "tensorflow", "trees"}))


def make(repository: Path, name: str, config: str | None = None, *files: str) -> None:
    folder = repository / name
    folder.mkdir(parents=True)
    if config is not None:
        (folder / "config.pbtxt").write_text(config, encoding="utf-8")
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(b"")


def only(repository: Path, frameworks: tuple[str, ...] | None = None) -> ModelFolder:
    (model,) = scan(repository, frameworks)
    return model


@pytest.mark.parametrize(
    ("config", "file", "backend", "framework"),
    [
        ('backend: "onnxruntime"', "1/model.onnx", "onnxruntime", "onnx"),
        ('backend: "pytorch"', "1/model.pt", "pytorch", "pytorch"),
        ('backend: "pytorch"', "1/model.pt2", "pytorch", "pytorch"),
        ("backend: 'tensorflow'", "1/model.savedmodel/saved_model.pb", "tensorflow", "tensorflow"),
        ('platform: "tensorflow_savedmodel"', "1/model.savedmodel/saved_model.pb", "tensorflow", "tensorflow"),
        ('platform: "onnxruntime_onnx"', "1/model.onnx", "onnxruntime", "onnx"),
        ('backend: "python"', "1/model.py", "python", None),
        ('backend: "fil"', "1/xgboost.json", "fil", "trees"),
        (None, "1/xgboost.ubj", "fil", "trees"),
        (None, "1/checkpoint.tl", "fil", "trees"),
        (None, "1/model.onnx", "onnxruntime", "onnx"),
        (None, "1/model.pt", "pytorch", "pytorch"),
        ("max_batch_size: 4", "1/model.savedmodel/saved_model.pb", "tensorflow", "tensorflow"),
        ('backend: "onnxruntime" default_model_filename: "net.onnx"', "1/net.onnx", "onnxruntime", "onnx"),
    ],
)
def test_the_backend_comes_from_the_config_or_else_from_the_files(
    tmp_path: Path, config: str | None, file: str, backend: str, framework: str | None
) -> None:
    make(tmp_path, "net", config, file)
    assert only(tmp_path) == ModelFolder("net", tmp_path / "net", backend, framework, (1,), None)


def test_only_the_top_level_of_the_config_counts(tmp_path: Path) -> None:
    config = """
    # backend: "tensorflow"
    name: "a \\"backend: 'pytorch'\\" }"
    parameters { key: "x" value: { string_value: "backend: \\"python\\" {" } }
    instance_group [ { kind: KIND_AUTO } ]
    ensemble_scheduling { step [ { model_name: "other" platform: "ensemble" } ] }
    backend : "onnxruntime"
    """
    make(tmp_path, "net", config, "1/model.onnx")
    assert only(tmp_path).backend == "onnxruntime"


def test_versions_are_numbers_with_a_model_file_in_order(tmp_path: Path) -> None:
    files = ("10/model.onnx", "2/model.onnx", "3/notes.txt", "0/model.onnx", "01/model.onnx", "old/model.onnx")
    make(tmp_path, "net", 'backend: "onnxruntime"', *files)
    assert only(tmp_path).versions == (2, 10)


def test_an_ensemble_needs_an_empty_version_folder_and_no_framework(tmp_path: Path) -> None:
    make(tmp_path, "pipeline", 'platform: "ensemble"')
    (tmp_path / "pipeline" / "1").mkdir()
    assert only(tmp_path) == ModelFolder("pipeline", tmp_path / "pipeline", "ensemble", None, (1,), None)


@pytest.mark.parametrize("name", ["a b", "a$(touch x)", "a;b", "-a", "_a", "ä", "a" * 129, "a\nb", "__pycache__"])
def test_an_unsafe_name_is_a_problem_and_the_folder_is_not_read(tmp_path: Path, name: str) -> None:
    make(tmp_path, name, 'backend: "onnxruntime"', "1/model.onnx")
    model = only(tmp_path)
    assert model.problem is not None
    assert model.problem.startswith("the name may have letters, digits,")
    assert model.backend is None


@pytest.mark.parametrize("name", ["a", "A.b-c_9", "7", "a" * 128])
def test_a_safe_name_is_none(tmp_path: Path, name: str) -> None:
    make(tmp_path, name, 'backend: "onnxruntime"', "1/model.onnx")
    assert only(tmp_path).problem is None


def test_without_a_model_file_it_says_which_and_how_to_get_the_samples(tmp_path: Path) -> None:
    make(tmp_path, "net", 'backend: "pytorch"', "1/readme.txt")
    problem = "there is no version folder with a model file, such as 1/model.pt; run `make models` for the samples"
    assert only(tmp_path).problem == problem


def test_a_framework_that_is_not_installed_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "installed_frameworks", lambda: frozenset({"onnx"}))
    make(tmp_path, "net", 'backend: "tensorflow"', "1/model.savedmodel/saved_model.pb")
    problem = "tensorflow is not installed; install the extra: pip install 'triton-gateway[tensorflow]'"
    assert only(tmp_path).problem == problem


def test_a_framework_that_is_not_selected_says_which_are(tmp_path: Path) -> None:
    make(tmp_path, "net", 'backend: "pytorch"', "1/model.pt")
    assert only(tmp_path, ("onnx",)).problem == "pytorch is not among the selected frameworks: onnx"
    assert only(tmp_path, ("onnx", "pytorch")).problem is None


def test_a_backend_that_needs_no_framework_is_always_selected(tmp_path: Path) -> None:
    make(tmp_path, "net", 'backend: "python"', "1/model.py")
    assert only(tmp_path, ()).problem is None


def test_models_come_in_order_and_files_and_hidden_folders_are_passed_over(tmp_path: Path) -> None:
    for name in ("b", "a", ".hidden"):
        make(tmp_path, name, 'backend: "onnxruntime"', "1/model.onnx")
    (tmp_path / "manifest.yaml").write_text("")
    assert [model.name for model in scan(tmp_path, None)] == ["a", "b"]


def test_a_repository_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"the model repository cannot be read .*--set repository.path=FOLDER"):
        scan(tmp_path / "nowhere", None)


def test_what_is_not_text_is_no_config(tmp_path: Path) -> None:
    make(tmp_path, "net", "", "1/model.onnx")
    (tmp_path / "net" / "config.pbtxt").write_bytes(b"\xff\xfe{{{ \x00 backend")
    assert only(tmp_path).backend == "onnxruntime"


def test_a_thousand_models_are_looked_through(tmp_path: Path) -> None:
    for number in range(1000):
        make(tmp_path, f"net{number}", 'name: "net"\nbackend: "onnxruntime"\nmax_batch_size: 8\n', "1/model.onnx")
    assert len(scan(tmp_path, None)) == 1000


def test_frameworks_are_found_without_importing_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    before = set(sys.modules)
    assert module.installed_frameworks() <= {"onnx", "pytorch", "tensorflow", "trees"}
    assert not {"onnxruntime", "torch", "tensorflow", "treelite"} & (set(sys.modules) - before)


def test_an_engine_says_which_gpu_it_needs(tmp_path: Path) -> None:
    make(tmp_path, "plan", None, "1/model.plan")
    assert (only(tmp_path).backend, only(tmp_path).gpu) == ("tensorrt", "an NVIDIA GPU")

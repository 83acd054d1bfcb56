from pathlib import Path

import pytest

from gateway.triton.models import is_complete, why_unsafe


def make(repository: Path, model: str, config: str | None = None) -> None:
    (repository / model).mkdir()
    if config is not None:
        (repository / model / "config.pbtxt").write_text(config)


@pytest.mark.parametrize("name", ["add", "basic_pitch", "v1.2-fp16", "A", "_x", "0"])
def test_an_ordinary_name_is_safe(tmp_path: Path, name: str) -> None:
    make(tmp_path, name)
    assert why_unsafe(tmp_path, name) is None


@pytest.mark.parametrize("name", ["a b", "a$(touch x)", "a;b", "a'b", "-a", "..", ".hidden", "é", "a\nb", "", "a\n"])
def test_a_name_that_a_shell_would_read_otherwise_is_not(tmp_path: Path, name: str) -> None:
    assert "rename it" in str(why_unsafe(tmp_path, name))


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert why_unsafe(tmp_path, "gone") == f"there is no folder 'gone' in {tmp_path}"


@pytest.mark.parametrize(
    "config",
    [
        'default_model_filename: "model.pt2"',
        'name: "has a space, which is only a text" default_model_filename: "sub/model.pt"',
        '# default_model_filename: "a b"\nbackend: "python"',
        'parameters: {key: "EXECUTION_ENV_PATH", value: {string_value: "$$TRITON_MODEL_DIRECTORY/env.tar.gz"}}',
        'parameters { key: "note" value { string_value: "a $(b) c" } }',
        'default_model_filename: "mod" "el.onnx"',
    ],
)
def test_a_configuration_with_ordinary_file_names_is_safe(tmp_path: Path, config: str) -> None:
    make(tmp_path, "add", config)
    assert why_unsafe(tmp_path, "add") is None


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ('default_model_filename: "a b.pt"', "default_model_filename"),
        ("default_model_filename : 'a$(touch x)'", "default_model_filename"),
        ('default_model_filename: "a\\040b"', "default_model_filename"),
        ('default_model_filename: "a" ";b"', "default_model_filename"),
        ('name: "#" default_model_filename: "a b"', "default_model_filename"),
        ('parameters: {key: "EXECUTION_ENV_PATH", value: {string_value: "/a b/env"}}', "EXECUTION_ENV_PATH"),
        ("parameters [{key: 'EXECUTION_ENV_PATH' value < string_value: '/a;b' > }]", "EXECUTION_ENV_PATH"),
    ],
)
def test_a_configuration_that_puts_more_on_the_command_line_is_not(tmp_path: Path, config: str, field: str) -> None:
    make(tmp_path, "add", config)
    assert str(why_unsafe(tmp_path, "add")).startswith(f"{field} in its config.pbtxt")


ONE = '{ name: "A" data_type: TYPE_FP32 dims: 2 }'
TENSORS = f"max_batch_size: 4 input {ONE} output {ONE}"


def test_a_complete_configuration_for_one_of_our_backends_needs_no_completing(tmp_path: Path) -> None:
    make(tmp_path, "whole", f'backend: "onnxruntime" {TENSORS}')
    assert is_complete(tmp_path, "whole")


@pytest.mark.parametrize("config", [None, 'backend: "onnxruntime"', f'backend: "python" {TENSORS}', TENSORS])
def test_without_one_or_for_a_backend_that_may_add_something_it_does(tmp_path: Path, config: str | None) -> None:
    make(tmp_path, "part", config)
    assert not is_complete(tmp_path, "part")

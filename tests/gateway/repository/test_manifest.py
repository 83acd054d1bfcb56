"""The manifest: what it says, and how a wrong one is refused."""

import re
from pathlib import Path

import pytest
import yaml

from gateway.core.errors import SetupError
from gateway.repository.manifest import read_manifest

REPOSITORY = Path(__file__).parents[3] / "model_repository"

MINIMAL = f"""
wheels:
  a-wheel: {{version: 1.2.3, sha256: {"a" * 64}, licence: MIT}}
models:
  a_model:
    framework: onnx
    wheel: a-wheel
    files:
      model.onnx: {{source: a/model.onnx, sha256: {"b" * 64}}}
"""


def write(folder: Path, text: str) -> Path:
    (folder / "manifest.yaml").write_text(text, encoding="utf-8")
    return folder


def test_a_repository_without_a_manifest_has_none(tmp_path: Path) -> None:
    assert read_manifest(tmp_path) is None


def test_a_minimal_manifest_is_read(tmp_path: Path) -> None:
    manifest = read_manifest(write(tmp_path, MINIMAL))
    assert manifest is not None
    assert manifest.wheels["a-wheel"].version == "1.2.3"
    assert manifest.models["a_model"].files["model.onnx"].source == "a/model.onnx"


def test_the_committed_manifest_names_a_licence_for_every_wheel_and_a_folder_for_every_model() -> None:
    manifest = read_manifest(REPOSITORY)
    assert manifest is not None
    assert {wheel.licence for wheel in manifest.wheels.values()} == {"Apache-2.0", "MIT"}
    assert set(manifest.models) == {"basic_pitch", "basic_pitch_onnx", "magika", "silero_vad"}
    for name, model in manifest.models.items():
        assert (REPOSITORY / name / "config.pbtxt").is_file()
        readme = (REPOSITORY / name / "README.md").read_text(encoding="utf-8")
        assert f"Licence: {manifest.wheels[model.wheel].licence}" in readme
        assert f"`{model.wheel}` {manifest.wheels[model.wheel].version}" in readme


@pytest.mark.parametrize("labelled", ["basic_pitch/pitches.txt", "basic_pitch_onnx/pitches.txt", "magika/labels.txt"])
def test_the_committed_labels_are_as_many_as_the_classes_of_the_last_axis(labelled: str) -> None:
    path = REPOSITORY / labelled
    labels = path.read_text(encoding="utf-8").splitlines()
    config = (path.parent / "config.pbtxt").read_text(encoding="utf-8")
    shapes = re.findall(rf'dims: \[ ([^]]*) \]\n\s*label_filename: "{path.name}"', config)
    assert shapes
    assert all(len(labels) == int(dims.split(",")[-1]) for dims in shapes)
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("framework: onnx", "framework: caffe"), "models.a_model.framework: Input should be 'onnx'"),
        (("wheel: a-wheel", "wheel: another"), "a_model: there is no wheel 'another' in `wheels`"),
        (("source: a/", "source: ../"), "'../model.onnx' must be a plain relative path"),
        (("model.onnx: {", "/etc/passwd: {"), "'/etc/passwd' must be a plain relative path"),
        (("b" * 64, "beef"), "sha256: String should match pattern"),
        (("a_model:", "a$(touch x):"), "String should match pattern"),
        (("framework: onnx", "framework: onnx\n    colour: red"), "models.a_model.colour: Extra inputs"),
    ],
)
def test_a_wrong_manifest_is_refused_in_one_line_that_names_the_entry(
    tmp_path: Path, change: tuple[str, str], complaint: str
) -> None:
    with pytest.raises(SetupError) as refused:
        read_manifest(write(tmp_path, MINIMAL.replace(*change)))
    assert refused.value.message.startswith(f"{tmp_path / 'manifest.yaml'}: ")
    assert complaint in refused.value.message
    assert "\n" not in refused.value.message


def test_what_is_not_yaml_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"manifest\.yaml:2: this is not YAML"):
        read_manifest(write(tmp_path, "wheels:\n  a: b: c\n"))


def test_an_input_belongs_to_a_model_that_there_is(tmp_path: Path) -> None:
    tree = yaml.safe_load(MINIMAL)
    tree["inputs"] = {"speech": {"for": "nobody", "wheel": "a-wheel", "files": tree["models"]["a_model"]["files"]}}
    with pytest.raises(SetupError, match="speech: there is no model 'nobody' in `models`"):
        read_manifest(write(tmp_path, yaml.safe_dump(tree)))


def test_a_source_is_from_a_wheel_that_there_is_and_has_a_name_of_its_own(tmp_path: Path) -> None:
    tree = yaml.safe_load(MINIMAL)
    source = {"wheel": "a-wheel", "files": tree["models"]["a_model"]["files"]}
    manifest = read_manifest(write(tmp_path, yaml.safe_dump(tree | {"sources": {"words": source}})))
    assert manifest is not None
    assert manifest.sources["words"].files["model.onnx"].source == "a/model.onnx"
    with pytest.raises(SetupError, match="words: there is no wheel 'another' in `wheels`"):
        read_manifest(write(tmp_path, yaml.safe_dump(tree | {"sources": {"words": source | {"wheel": "another"}}})))
    with pytest.raises(SetupError, match="a_model: another entry has this name already"):
        read_manifest(write(tmp_path, yaml.safe_dump(tree | {"sources": {"a_model": source}})))

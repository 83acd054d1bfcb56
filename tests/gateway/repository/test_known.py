from pathlib import Path

from gateway.repository.known import known_models


def test_models_drops_and_samples_are_known(tmp_path: Path) -> None:
    (tmp_path / "there/1").mkdir(parents=True)
    (tmp_path / "dropped.onnx").write_bytes(b"")
    (tmp_path / "manifest.yaml").write_text(
        "wheels: {w: {version: '1', sha256: " + "a" * 64 + ", licence: MIT}}\n"
        "models: {sample: {framework: onnx, wheel: w, files: {m.onnx: {source: m.onnx, sha256: " + "a" * 64 + "}}}}\n"
    )
    assert known_models(tmp_path) == {"there": {1}, "dropped": set(), "sample": set()}


def test_a_folder_that_cannot_be_read_has_none(tmp_path: Path) -> None:
    assert known_models(tmp_path / "nowhere") == {}

from pathlib import Path

from gateway.repository.record import FILE_NAME, ModelRecord, VersionRecord, encode
from gateway.repository.records import Records


def write(repository: Path, name: str, text: bytes) -> None:
    (repository / name).mkdir(exist_ok=True)
    new = repository / name / "new"
    new.write_bytes(text)
    new.replace(repository / name / FILE_NAME)


def model(name: str, version: int) -> ModelRecord:
    return ModelRecord(name, {version: VersionRecord(version, "kept", "now")}, version)


def test_every_model_with_a_record_is_read(tmp_path: Path) -> None:
    write(tmp_path, "a", encode(model("a", 1)))
    write(tmp_path, ".hidden", encode(model("h", 1)))
    (tmp_path / "no-record").mkdir()
    (tmp_path / "file.onnx").touch()
    assert Records(tmp_path).read() == {"a": model("a", 1)}


def test_only_what_has_changed_is_read_again(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path, name, encode(model(name, 1)))
    records = Records(tmp_path)
    before = records.read()
    write(tmp_path, "b", encode(model("b", 2)))
    after = records.read()
    assert after["a"] is before["a"]
    assert after["b"] == model("b", 2)


def test_a_model_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    write(tmp_path, "a", encode(model("a", 1)))
    records = Records(tmp_path)
    assert records.read()
    (tmp_path / "a" / FILE_NAME).unlink()
    assert records.read() == {}


def test_a_record_that_cannot_be_understood_has_no_versions(tmp_path: Path) -> None:
    write(tmp_path, "a", b"{")
    assert Records(tmp_path).read() == {"a": ModelRecord("a")}


def test_without_a_repository_there_is_nothing(tmp_path: Path) -> None:
    assert Records(tmp_path / "missing").read() == {}

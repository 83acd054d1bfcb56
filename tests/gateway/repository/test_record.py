import os
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.record import (
    FILE_NAME,
    ModelRecord,
    VersionRecord,
    digest,
    encode,
    hash_files,
    is_version,
    read,
    refreshed,
    verify,
    versions_in,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for version in ("1", ".retired/2"):
        (tmp_path / "m" / version / "data").mkdir(parents=True)
        (tmp_path / "m" / version / "model.onnx").write_text(f"model {version}")
        (tmp_path / "m" / version / "data" / "weights").write_text(f"weights {version}")
    return tmp_path / "m"


@pytest.fixture
def record(folder: Path) -> ModelRecord:
    kept = VersionRecord(1, "kept", "2026-01-02T03:04:05+00:00", files=hash_files(folder / "1"))
    retired = replace(kept, version=2, state="retired", files=hash_files(folder / ".retired" / "2"), reason="retired")
    return ModelRecord("m").with_version(kept).with_version(retired)


def test_a_record_goes_through_its_file_unchanged(folder: Path, record: ModelRecord) -> None:
    described = replace(record.versions[1], description={"kind": "onnx"}, sample=({"name": "x", "data": [1.5]},))
    record = record.with_version(described)
    (folder / FILE_NAME).write_bytes(encode(record))
    assert read(folder) == record
    assert (record.kept, record.retired, record.served, record.last_version) == ((1,), (2,), 1, 2)


def test_a_folder_without_a_record_has_none(folder: Path, tmp_path: Path) -> None:
    assert read(folder) is None
    assert read(tmp_path / "missing") is None
    assert ModelRecord("m").served is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "m", "versions": {"1": {"state": "lost"}}}'])
def test_what_is_not_a_record_is_named_with_what_to_do(folder: Path, text: str) -> None:
    (folder / FILE_NAME).write_text(text)
    with pytest.raises(ModelRefused, match=r"m/\.triton-gateway\.json: is not a model's record .*; delete it"):
        read(folder)


def test_the_record_of_a_newer_gateway_is_not_guessed_at(folder: Path) -> None:
    (folder / FILE_NAME).write_text('{"name": "m", "schema": 2}')
    with pytest.raises(ModelRefused, match="written by a newer triton-gateway"):
        read(folder)


def test_files_as_recorded_differ_in_nothing(folder: Path, record: ModelRecord) -> None:
    assert verify(folder, record) == verify(folder, record, quick=True) == []


@pytest.mark.parametrize("quick", [False, True])
def test_what_differs_is_told_in_words(folder: Path, record: ModelRecord, quick: bool) -> None:
    (folder / "1" / "model.onnx").write_text("model X")
    os.utime(folder / "1" / "model.onnx", ns=(5, 5))
    (folder / "1" / "data" / "weights").unlink()
    (folder / ".retired" / "2" / "new").write_text("x")
    (folder / "7").mkdir()
    assert verify(folder, record, quick=quick) == [
        "1/data/weights: is missing",
        "1/model.onnx: was changed",
        ".retired/2/new: was added",
        "7: is not in the model's record",
    ]


def test_a_version_that_is_gone_is_told_once(folder: Path, record: ModelRecord) -> None:
    (folder / "1").rename(folder / "elsewhere")
    assert verify(folder, record) == ["1: the version's folder is missing"]


def test_the_quick_look_reads_no_file_that_looks_the_same(folder: Path, record: ModelRecord) -> None:
    path = folder / "1" / "model.onnx"
    status = path.stat()
    with path.open("r+") as file:
        file.write("MODEL")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert verify(folder, record, quick=True) == []
    assert verify(folder, record) == ["1/model.onnx: was changed"]


def test_a_touched_file_is_read_again_and_then_known(folder: Path, record: ModelRecord) -> None:
    path = folder / "1" / "model.onnx"
    os.utime(path, ns=(7, 7))
    assert verify(folder, record, quick=True) == []
    now = refreshed(folder, record)
    assert now.versions[1].files["model.onnx"].mtime_ns == 7
    assert now.versions[1].files["model.onnx"].sha256 == record.versions[1].files["model.onnx"].sha256


def test_compiled_python_is_passed_over(folder: Path, record: ModelRecord) -> None:
    (folder / "1" / "__pycache__").mkdir()
    (folder / "1" / "__pycache__" / "model.cpython-311.pyc").write_text("x")
    assert verify(folder, record) == []


def test_version_folders_are_those_that_triton_takes(folder: Path) -> None:
    for name in ("10", "03", "0", "1a", "²"):
        (folder / name).mkdir()
    assert versions_in(folder) == [1, 10]
    assert [name for name in ("1", "0", "01", "x", "²") if is_version(name)] == ["1"]


def test_a_digest_depends_on_names_and_contents_and_nothing_else(tmp_path: Path) -> None:
    one, other = tmp_path / "a", tmp_path / "b"
    for folder in (one, other):
        (folder / "m").mkdir(parents=True)
        (folder / "m" / "x").write_text("1")
        (folder / "m.yaml").write_text("2")
    paths = [one / "m", one / "m.yaml"]
    assert digest(paths) == digest([other / "m.yaml", other / "m"])
    (other / "m" / "x").rename(other / "m" / "y")
    assert digest(paths) != digest([other / "m", other / "m.yaml"])
    assert digest(paths) != digest(paths[:1])

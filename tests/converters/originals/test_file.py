from pathlib import Path

import pytest

from converters.errors import BadSource
from converters.originals.file import FileOriginal


@pytest.mark.parametrize(
    ("path", "name", "version"),
    [
        ("repository/speech/12/model.onnx", "speech", 12),
        ("repository/speech/12/model.savedmodel", "speech", 12),
        ("repository/speech/12/other.onnx", "other.onnx", None),
        ("downloads/model.onnx", "model.onnx", None),
    ],
)
def test_name_and_version_are_the_repositorys(path: str, name: str, version: int | None) -> None:
    original = FileOriginal(Path(path))
    assert (original.name, original.version) == (name, version)


def test_the_digest_is_over_the_file_or_all_files_of_the_folder(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "weights"
    file.parent.mkdir()
    file.write_bytes(b"1")
    before = [FileOriginal(path).digest for path in (file, file.parent)]
    file.write_bytes(b"2")
    assert {FileOriginal(path).digest for path in (file, file.parent)}.isdisjoint(before)
    with pytest.raises(BadSource, match="cannot be read"):
        _ = FileOriginal(tmp_path / "none").digest

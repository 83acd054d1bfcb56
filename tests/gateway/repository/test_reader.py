import errno
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.core.errors import ModelRefused, SetupError
from gateway.repository.reader import Reader, explained, is_model


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name in ("by_version/3", "by_config", "drop/assets", ".hidden/1", "a name/1"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "by_config" / "config.pbtxt").touch()
    (tmp_path / "by_version" / "3" / "model.onnx").write_text("x")
    (tmp_path / "file.onnx").touch()
    return tmp_path


def test_models_are_folders_with_a_version_or_a_configuration(repository: Path) -> None:
    assert Reader(repository).models() == ["by_config", "by_version"]
    assert not is_model(repository / "drop")
    assert not is_model(repository / "file.onnx")
    assert not is_model(repository / "missing")


def test_the_next_version_is_higher_than_any_folder(repository: Path) -> None:
    reader = Reader(repository)
    assert [reader.next_version(name) for name in ("by_version", "by_config", "new")] == [4, 1, 1]


def test_a_version_made_by_hand_is_known_with_its_files(repository: Path) -> None:
    reader = Reader(repository, clock=lambda: datetime(2026, 1, 2, tzinfo=UTC))
    version = reader.known("by_version").versions[3]
    assert (version.published_at, list(version.files)) == ("2026-01-02T00:00:00+00:00", ["model.onnx"])
    assert reader.record("by_version") is None


def test_an_unknown_model_is_answered_with_the_nearest_name(repository: Path) -> None:
    with pytest.raises(ModelRefused, match=r"no model 'by_versoin' .*; did you mean 'by_version'"):
        Reader(repository).existing("by_versoin")
    with pytest.raises(ModelRefused, match="there are: by_config, by_version"):
        Reader(repository).known("zzz")


def test_a_repository_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"missing: cannot read or write .*No such file"):
        Reader(tmp_path / "missing").models()


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.ENOSPC, "m: the disk is full; nothing was changed; make room"),
        (errno.EDQUOT, "m: the disk is full"),
        (errno.EACCES, r"m: cannot read or write /x \(Permission denied\); allow it"),
    ],
)
def test_what_the_file_system_says_is_told_with_what_to_do(number: int, told: str) -> None:
    with pytest.raises(SetupError, match=told), explained("m"):
        raise OSError(number, os.strerror(number), "/x")

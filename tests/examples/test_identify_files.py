"""The file type client, without a server: what it reads of a file, and its command line."""

import subprocess
import sys
from pathlib import Path

import pytest

from examples.identify_files import PADDING, find_files, read_features

SCRIPT = Path(__file__).parents[2] / "examples" / "identify_files.py"


def features(folder: Path, content: bytes) -> tuple[list[int], list[int]] | None:
    path = folder / "file"
    path.write_bytes(content)
    found = read_features(path)
    return None if found is None else (found[:1024].tolist(), found[1024:].tolist())


def test_a_long_file_gives_its_first_and_last_bytes(tmp_path: Path) -> None:
    content = b"A" * 1024 + b"-" * 9000 + b"Z" * 1024
    assert features(tmp_path, content) == ([ord("A")] * 1024, [ord("Z")] * 1024)


def test_a_short_file_is_padded_behind_its_beginning_and_before_its_end(tmp_path: Path) -> None:
    padding = [PADDING] * (1024 - 8)
    assert features(tmp_path, b"12345678") == ([*b"12345678", *padding], [*padding, *b"12345678"])


def test_white_space_around_is_not_looked_at(tmp_path: Path) -> None:
    found = features(tmp_path, b" \n\t hello, world\r\n\n")
    assert found is not None
    assert bytes(found[0][:14]) == b"hello, world\r\n"
    assert bytes(found[1][-12:]) == b"hello, world"


def test_white_space_beyond_the_block_counts(tmp_path: Path) -> None:
    assert features(tmp_path, b" " * 4096 + b"x" * 4096) is None


@pytest.mark.parametrize("content", [b"", b"1234567", b"  1234567"])
def test_a_file_too_short_to_tell_is_not_asked_about(tmp_path: Path, content: bytes) -> None:
    assert features(tmp_path, content) is None


def test_folders_stand_for_all_files_below_them(tmp_path: Path) -> None:
    (tmp_path / "b" / "c").mkdir(parents=True)
    for name in ("a", "b/d", "b/c/e"):
        (tmp_path / name).write_text(name)
    assert find_files([tmp_path, Path("x")]) == [*(tmp_path / name for name in ("a", "b/c/e", "b/d")), Path("x")]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_server_that_is_not_there_is_one_line(protocol: str) -> None:
    command = [sys.executable, str(SCRIPT), "--protocol", protocol, "--url", "127.0.0.1:1", str(SCRIPT)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("magika at 127.0.0.1:1")
    assert result.stderr.count("\n") == 1


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--url", "127.0.0.1:1", str(tmp_path / "nothing")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr == f"{tmp_path / 'nothing'}: No such file or directory\n"

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from converters.errors import ConversionError, OutOfResources
from converters.publish.workplace import explained, locked, staged


def test_a_staged_folder_is_gone_at_the_end_also_after_an_error(tmp_path: Path) -> None:
    def interrupted() -> None:
        with staged(tmp_path) as stage:
            (stage / "half").write_bytes(b"written")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list((tmp_path / ".triton-gateway" / "staging").iterdir()) == []


def test_what_a_dead_process_left_is_removed_and_what_lives_is_not(tmp_path: Path) -> None:
    staging = tmp_path / ".triton-gateway" / "staging"
    for name in ("convert-dead", "4387a78395d5c4f6"):
        (staging / name).mkdir(parents=True)
        (staging / f"{name}.lock").touch()
    with staged(tmp_path) as alive, staged(tmp_path):
        assert alive.is_dir()
        assert not (staging / "convert-dead").exists()
    assert (staging / "4387a78395d5c4f6").is_dir()  # the gateway's, which may be in the middle of an exchange


def test_only_one_process_changes_a_repository(tmp_path: Path) -> None:
    with locked(tmp_path, "publishing a"):
        told = rf"is being changed by another process \(process {os.getpid()}, publishing a\) for more than 0 s; wait"
        with pytest.raises(ConversionError, match=told), locked(tmp_path, "publishing b", seconds=0):
            raise AssertionError
    with locked(tmp_path, "publishing b", seconds=0):
        pass


def test_the_gateway_waits_for_the_same_lock(tmp_path: Path) -> None:
    lock = tmp_path / ".triton-gateway" / "lock"
    with locked(tmp_path, "publishing a"), lock.open("a") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_what_the_file_system_says_is_explained() -> None:
    with pytest.raises(OutOfResources, match="the disk is full, so m was not published"), explained("m"):
        raise OSError(28, "No space left on device", "x")
    with (
        pytest.raises(ConversionError, match=r"cannot read or write /x \(Permission denied\); allow it"),
        explained("m"),
    ):
        raise PermissionError(13, "Permission denied", "/x")

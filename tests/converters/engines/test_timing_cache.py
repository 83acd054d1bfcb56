from __future__ import annotations

import resource
from pathlib import Path

import pytest

from converters.engines import timing_cache


def test_there_is_none_yet(tmp_path: Path) -> None:
    assert timing_cache.read(tmp_path / "none" / "a.cache") == b""


def test_replaces_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "a.cache"
    timing_cache.write(path, b"first, longer")
    timing_cache.write(path, b"second")
    assert timing_cache.read(path) == b"second"
    assert [each.name for each in path.parent.iterdir()] == ["a.cache"]


def test_a_full_disk_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.cache"
    timing_cache.write(path, b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            timing_cache.write(path, bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["a.cache"]


def test_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        timing_cache.read(tmp_path)

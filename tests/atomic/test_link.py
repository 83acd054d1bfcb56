import errno
import os
from pathlib import Path

import pytest

from atomic.link import link


def test_a_folder_is_linked_with_its_times_and_without_compiled_python(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "__pycache__").mkdir(parents=True)
    (source / "file").write_text("x")
    (source / "link").symlink_to("file")
    os.utime(source, ns=(5, 5))
    link(source, tmp_path / "target")
    target = tmp_path / "target"
    assert sorted(path.name for path in target.iterdir()) == ["file", "link"]
    assert (target / "file").samefile(source / "file")
    assert (target / "link").readlink() == Path("file")
    assert target.stat().st_mtime_ns == 5


def test_where_there_can_be_no_links_files_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    (tmp_path / "source").write_text("x")
    os.utime(tmp_path / "source", ns=(5, 5))
    monkeypatch.setattr(os, "link", refuse)
    link(tmp_path / "source", tmp_path / "target")
    assert (tmp_path / "target").read_text() == "x"
    assert (tmp_path / "target").stat().st_mtime_ns == 5

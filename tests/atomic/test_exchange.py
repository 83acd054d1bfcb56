import errno
import os
from pathlib import Path

import pytest

from atomic.exchange import discard, exchange, repair, write


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    """A folder to be put in place, in a folder of its own."""
    folder = tmp_path / "staging" / "new"
    folder.mkdir(parents=True)
    (folder / "file").write_text("new")
    return folder


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "place"
    folder.mkdir()
    (folder / "file").write_text("old")
    return folder


def unsupported(staged: Path, place: Path) -> None:
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


def content(*folders: Path) -> list[str]:
    return [(folder / "file").read_text() for folder in folders]


def test_two_folders_change_places(staged: Path, place: Path) -> None:
    exchange(staged, place)
    assert content(staged, place) == ["old", "new"]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EXDEV])
def test_they_do_so_where_the_file_system_cannot_exchange(staged: Path, place: Path, number: int) -> None:
    def native(staged: Path, place: Path) -> None:
        raise OSError(number, os.strerror(number))

    exchange(staged, place, native=native)
    assert content(staged, place) == ["old", "new"]
    assert list(staged.parent.iterdir()) == [staged]


def test_another_error_is_raised_and_nothing_is_exchanged(staged: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        exchange(staged, tmp_path / "missing")
    assert content(staged) == ["new"]


@pytest.mark.parametrize("renames", [0, 1, 2, 3])
def test_an_exchange_that_broke_off_after_any_rename_is_finished(
    staged: Path, place: Path, renames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, rename = [renames], Path.rename

    def rename_until(path: Path, target: Path) -> Path:
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", rename_until)
    if renames < 3:
        with pytest.raises(KeyboardInterrupt):
            exchange(staged, place, native=unsupported)
    else:
        exchange(staged, place, native=unsupported)
    monkeypatch.undo()
    assert repair(staged.parent) is (renames < 3)
    assert content(staged, place) == (["new", "old"] if renames == 0 else ["old", "new"])
    assert repair(staged.parent) is False


def test_a_folder_that_cannot_be_renamed_is_copied_aside(
    staged: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def rename_upper_only(path: Path, target: Path) -> Path:
        if path == place:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", rename_upper_only)
    exchange(staged, place, native=unsupported)
    assert content(staged, place) == ["old", "new"]


def test_a_file_is_written_as_a_whole(tmp_path: Path) -> None:
    write(tmp_path / "file", b"old")
    write(tmp_path / "file", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"new")]


def test_what_is_discarded_is_gone_and_a_link_leaves_its_target(staged: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(staged)
    discard(link)
    assert content(staged) == ["new"]
    discard(staged / "file")
    discard(staged)
    discard(staged)
    assert not staged.exists()

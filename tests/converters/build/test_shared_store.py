from pathlib import Path

import pytest
from obstore.store import MemoryStore

from converters.build.shared_store import SharedStore, shared_store
from converters.errors import ConfigError


def filled(folder: Path) -> Path:
    folder.mkdir()
    (folder / "a").write_bytes(b"1")
    (folder / "b").write_bytes(b"2")
    return folder


def test_a_folder_serves_as_a_store(tmp_path: Path) -> None:
    warnings = list[str]()
    store = shared_store("shared", tmp_path, warnings.append)
    store.put("engine/1", filled(tmp_path / "made"), ("a", "b"))
    (tmp_path / "got").mkdir()
    assert store.get("engine/1", tmp_path / "got")
    assert (tmp_path / "got/b").read_bytes() == b"2"
    assert not store.get("engine/2", tmp_path / "got")
    assert warnings == []
    assert (tmp_path / "shared/engine/1/a").is_file()


def test_a_result_without_its_list_does_not_count(tmp_path: Path) -> None:
    memory = MemoryStore()
    memory.put("engine/1/a", b"1")
    (tmp_path / "got").mkdir()
    assert not SharedStore(memory, print).get("engine/1", tmp_path / "got")


def test_a_store_that_cannot_be_reached_is_told_once_and_left_alone(tmp_path: Path) -> None:
    warnings = list[str]()
    folder = filled(tmp_path / "made")
    (tmp_path / "shared").mkdir()
    store = shared_store("shared", tmp_path, warnings.append)
    (tmp_path / "shared").rmdir()
    (tmp_path / "shared").write_text("a file where the store was")
    store.put("engine/1", folder, ("a", "b"))
    store.put("engine/2", folder, ("a", "b"))
    assert not store.get("engine/1", tmp_path / "made")
    assert len(warnings) == 1
    assert warnings[0].startswith("the shared cache is not used: ")


@pytest.mark.parametrize("place", ["ftp://host/x", "s3://"])
def test_what_is_no_store_is_refused(tmp_path: Path, place: str) -> None:
    with pytest.raises(ConfigError, match=r"cache: .* cannot be used"):
        shared_store(place, tmp_path, print)

import errno
import json
import os
from pathlib import Path

import pytest
from obstore.store import LocalStore, MemoryStore

from converters.build.cache import ENTRY, Key, StepCache
from converters.build.shared_store import SharedStore
from converters.errors import BadData, OutOfResources

KEY = Key("onnx", {"source": "abc", "opset": 18})


def hello(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "model.onnx").write_text("hello")
    (folder / "sub/weights").write_text("w")


def never(folder: Path) -> None:
    raise AssertionError(f"made again: {folder}")


def unheard(message: str) -> None:
    raise AssertionError(message)


def test_a_result_is_made_once(tmp_path: Path) -> None:
    cache = StepCache(tmp_path)
    first, second = cache.made(KEY, hello), cache.made(KEY, never)
    assert (first.cached, second.cached) == (False, True)
    assert (second.folder / "model.onnx").read_text() == "hello"
    assert first.folder == second.folder == tmp_path / "onnx" / KEY.digest
    assert json.loads((second.folder / ENTRY).read_text())["made_from"] == {"source": "abc", "opset": 18}


def test_whatever_it_is_made_from_makes_it_another_result(tmp_path: Path) -> None:
    cache = StepCache(tmp_path)
    other = Key("onnx", {"source": "abc", "opset": 17})
    assert cache.made(KEY, hello).folder != cache.made(other, hello).folder
    assert Key("onnx", {"opset": 18, "source": "abc"}).digest == KEY.digest


@pytest.mark.parametrize(
    "damage", [lambda f: (f / "model.onnx").write_text("h"), lambda f: (f / "sub/weights").unlink()]
)
def test_a_damaged_result_is_made_again(tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    cache = StepCache(tmp_path)
    damage(cache.made(KEY, hello).folder)
    again = cache.made(KEY, hello)
    assert not again.cached
    assert (again.folder / "sub/weights").read_text() == "w"


def test_what_fails_or_is_interrupted_leaves_nothing(tmp_path: Path) -> None:
    def half(folder: Path) -> None:
        (folder / "model.onnx").write_text("hel")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        StepCache(tmp_path).made(KEY, half)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []

    def wrong(folder: Path) -> None:
        raise BadData("there is none", hint="give some")

    with pytest.raises(BadData):
        StepCache(tmp_path).made(KEY, wrong)


def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    def full(folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(folder / "model.onnx"))

    with pytest.raises(OutOfResources, match=r"no space is left below .*; free some, or set another"):
        StepCache(tmp_path).made(KEY, full)


def test_a_shared_store_gives_one_machine_what_another_made(tmp_path: Path) -> None:
    store = MemoryStore()
    StepCache(tmp_path / "a", SharedStore(store, unheard)).made(KEY, hello)
    got = StepCache(tmp_path / "b", SharedStore(store, unheard)).made(KEY, never)
    assert got.cached
    assert (got.folder / "sub/weights").read_text() == "w"


def test_what_is_damaged_in_a_shared_store_is_made_again(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "shared", mkdir=True)
    StepCache(tmp_path / "a", SharedStore(store, unheard)).made(KEY, hello)
    (tmp_path / "shared/onnx" / KEY.digest / "model.onnx").write_text("hallo")
    assert not StepCache(tmp_path / "b", SharedStore(store, unheard)).made(KEY, hello).cached


def test_prune_removes_what_was_not_used_for_longest(tmp_path: Path) -> None:
    cache = StepCache(tmp_path)
    keys = [Key("onnx", {"number": number}) for number in range(3)]
    for age, key in enumerate(keys):
        entry = cache.made(key, hello).folder / ENTRY
        os.utime(entry, (1e9 - age, 1e9 - age))
    cache.made(keys[2], never)  # used just now
    one = sum(path.stat().st_size for path in (tmp_path / "onnx" / keys[0].digest).rglob("*") if path.is_file())
    assert cache.prune(2 * one) == one
    assert [(tmp_path / "onnx" / key.digest).exists() for key in keys] == [True, False, True]


def test_leftovers_of_killed_builds_are_cleared(tmp_path: Path) -> None:
    cache = StepCache(tmp_path)
    kept = cache.made(KEY, hello).folder
    (tmp_path / "onnx/.scratch-abc").mkdir()
    (tmp_path / "onnx/.scratch-abc/half").write_text("x")
    cache.clear_leftovers()
    assert list((tmp_path / "onnx").iterdir()) == [kept]

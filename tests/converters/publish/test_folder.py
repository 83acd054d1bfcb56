from __future__ import annotations

import errno
import multiprocessing
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from atomic.exchange import exchange
from converters.engines import record as records
from converters.errors import BadEngine, ConfigError, ConversionError, OutOfResources
from converters.publish import folder
from converters.publish.folder import Published, publish
from tests.converters.publish.results import LINEAGE, content, record


def tree(model: Path) -> dict[str, bytes]:
    return {str(path.relative_to(model)): path.read_bytes() for path in sorted(model.rglob("*")) if path.is_file()}


def leftovers(repository: Path) -> list[str]:
    """What lies in the repository but models and an unused lock."""
    work = repository / ".triton-gateway"
    return [str(path) for path in work.rglob("*") if path.is_file() and path.stat().st_size] + [
        str(path) for path in (work / "staging").iterdir()
    ]


def test_a_new_model_is_a_complete_folder(tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("a\nb\n")
    made = replace(content(b"weights"), beside={"labels.txt": labels, "warmup/x": labels})
    assert publish(tmp_path / "models", "m", made) == Published(tmp_path / "models" / "m", 1, "published")
    found = tree(tmp_path / "models" / "m")
    assert found.keys() == {"1/model.onnx", "1/engine.json", "config.pbtxt", "labels.txt", "warmup/x"}
    assert (found["1/model.onnx"], found["labels.txt"]) == (b"weights", b"a\nb\n")
    assert records.read(tmp_path / "models" / "m" / "1") == made.records
    assert leftovers(tmp_path / "models") == []


def test_a_large_file_comes_from_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "cached").write_bytes(b"weights")
    made = replace(content(b"weights"), files={"model.onnx": tmp_path / "cached"})
    place = publish(tmp_path / "models", "m", made).folder / "1" / "model.onnx"
    assert place.read_bytes() == b"weights"
    assert place.stat().st_ino != (tmp_path / "cached").stat().st_ino  # a cache may be cleared or written anew


def test_the_next_version_comes_beside_the_old_one_with_its_own_configuration(tmp_path: Path) -> None:
    publish(tmp_path, "m", content(b"one", "max_batch_size: 1\n"))
    (tmp_path / "m" / "README.md").write_text("kept")
    before = (tmp_path / "m" / "1" / "model.onnx").stat().st_ino
    assert publish(tmp_path, "m", content(b"two", "max_batch_size: 2\n")).version == 2
    found = tree(tmp_path / "m")
    assert (found["1/model.onnx"], found["2/model.onnx"], found["README.md"]) == (b"one", b"two", b"kept")
    assert b"max_batch_size: 2" in found["config.pbtxt"]
    assert b"max_batch_size: 1" in found[".settings/1/config.pbtxt"]
    assert (tmp_path / "m" / "1" / "model.onnx").stat().st_ino == before
    assert leftovers(tmp_path) == []


def test_what_is_served_already_is_left_alone(tmp_path: Path) -> None:
    publish(tmp_path, "m", content(b"one"))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "m").rglob("*")}
    again = content(b"one", built_at="2027-01-01T00:00:00+00:00", seconds=9.0)
    assert publish(tmp_path, "m", again) == Published(tmp_path / "m", 1, "unchanged")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "m").rglob("*")} == before


def test_an_older_one_can_be_published_again_and_one_that_was_set_aside_stays_so(tmp_path: Path) -> None:
    publish(tmp_path, "m", content(b"one"))
    publish(tmp_path, "m", content(b"two"))
    assert publish(tmp_path, "m", content(b"one")) == Published(tmp_path / "m", 3, "published")
    (tmp_path / "m" / ".retired").mkdir()
    (tmp_path / "m" / "3").rename(tmp_path / "m" / ".retired" / "3")
    assert publish(tmp_path, "m", content(b"one")) == Published(tmp_path / "m", 3, "retired")
    assert publish(tmp_path, "m", content(b"four")).version == 4


@pytest.mark.parametrize("name", ["", ".hidden", "a b", "a$(touch x)", "-x", "a/b", "m--candidate", "x" * 129])
def test_names_that_cannot_be(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be a model's name; give it up to 128 letters"):
        publish(tmp_path, name, content(b"one"))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_what_its_record_says(tmp_path: Path) -> None:
    made = replace(content(b"one"), records=(record(b"other"),))
    with pytest.raises(BadEngine, match=r"publish: model\.onnx is not the file that its record is about"):
        publish(tmp_path, "m", made)
    assert list(tmp_path.iterdir()) == []


def test_another_model_of_the_name_is_replaced_only_by_force(tmp_path: Path) -> None:
    publish(tmp_path, "m", content(b"one"))
    other = content(b"two", source=replace(LINEAGE, name="song"))
    with pytest.raises(ConfigError, match="m is made from speech as onnx, and not song as onnx; publish under another"):
        publish(tmp_path, "m", other)
    assert publish(tmp_path, "m", other, force=True).version == 2
    assert leftovers(tmp_path) == []


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """As on a disk that fills up, the kernel refuses to write more of a file than this."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_up_leaves_everything_as_it_was(tmp_path: Path) -> None:
    publish(tmp_path, "m", content(b"one"))
    before = tree(tmp_path / "m")
    with (
        largest_file(1 << 16),
        pytest.raises(OutOfResources, match="the disk is full, so m was not published; make room"),
    ):
        publish(tmp_path, "m", content(bytes(1 << 20)))
    assert tree(tmp_path / "m") == before
    assert leftovers(tmp_path) == []


def test_a_file_system_that_cannot_swap_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: Path) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(folder, "exchange", partial(exchange, native=unsupported))
    publish(tmp_path, "m", content(b"one", "max_batch_size: 1\n"))
    publish(tmp_path, "m", content(b"two", "max_batch_size: 2\n"))
    found = tree(tmp_path / "m")
    assert (found["1/model.onnx"], found["2/model.onnx"]) == (b"one", b"two")
    assert b"max_batch_size: 2" in found["config.pbtxt"]
    assert b"max_batch_size: 1" in found[".settings/1/config.pbtxt"]
    assert leftovers(tmp_path) == []


def dies_at(step: int, repository: Path, made: Any) -> None:
    """Publish in a process that is killed at its n-th change of the file system."""
    count = 0

    def hook(event: str, _: Any) -> None:
        nonlocal count
        if event in {"os.rename", "os.link", "os.mkdir", "os.remove", "shutil.copyfile"} or event == "os.truncate":
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)

    import sys  # noqa: PLC0415 - the hook stays for ever, in this process only

    sys.addaudithook(hook)
    publish(repository, "m", made)


def test_killed_at_any_moment_there_is_the_old_or_the_new_one_and_the_next_run_clears_up(tmp_path: Path) -> None:
    publish(tmp_path, "m", content(b"one", "max_batch_size: 1\n"))
    old, made = tree(tmp_path / "m"), content(b"two", "max_batch_size: 2\n")
    fork, killed = multiprocessing.get_context("fork"), 0
    for step in range(1, 60):
        process = fork.Process(target=dies_at, args=(step, tmp_path, made))
        process.start()
        process.join()
        found = tree(tmp_path / "m")
        assert (
            found == old
            or {"1/model.onnx", "2/model.onnx", "2/engine.json", ".settings/1/config.pbtxt"} <= found.keys()
        )
        if process.exitcode == 0:
            break
        killed += 1
    assert killed >= 5
    assert publish(tmp_path, "m", made).version == 2
    publish(tmp_path, "m", content(b"three"))
    assert leftovers(tmp_path) == []


def test_a_repository_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(ConversionError, match=r"m cannot be published: cannot read or write .*models.*; allow it"):
        publish(tmp_path / "models", "m", content(b"one"))

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core.errors import ModelRefused, SetupError
from gateway.repository import record as records
from gateway.repository.store import Store
from tests.gateway.repository.store_models import make_drop, make_prepared

ROOT = Path(__file__).parents[3]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    return folder


def publish(store: Store, scratch: Path, content: str, name: str = "m", consume: list[Path] | None = None) -> int:
    prepared = make_prepared(scratch / "prepared" / content, name, content)
    try:
        return store.publish(name, prepared, source=f"{name}.onnx", consume=consume or ())
    finally:
        shutil.rmtree(scratch / "prepared")


def served(repository: Path, name: str = "m") -> str:
    """What the highest version folder says, as Triton takes it."""
    return (repository / name / str(records.versions_in(repository / name)[-1]) / "model.onnx").read_text()


def test_a_new_model_is_complete_and_what_it_came_from_is_gone(repository: Path, tmp_path: Path) -> None:
    store = Store(repository)
    drop = make_drop(repository, "m", "first")
    assert publish(store, tmp_path, "first", consume=drop) == 1
    assert sorted(path.name for path in repository.iterdir()) == [".triton-gateway", "m"]
    assert served(repository) == "first"
    record = store.record("m")
    assert record is not None
    version = record.versions[1]
    assert (version.source, version.description and version.description["kind"]) == ("m.onnx", "onnx")
    assert version.checks[0]["name"] == "runs"
    assert version.sample[0]["name"] == "x"
    assert sorted(version.files) == ["data/weights.bin", "model.onnx"]
    assert store.verify("m") == store.verify("m", quick=False) == []
    assert store.models() == ["m"]


def test_an_update_keeps_the_old_version_untouched_and_adds_the_next(repository: Path, tmp_path: Path) -> None:
    store = Store(repository)
    publish(store, tmp_path, "first")
    before = (repository / "m" / "1" / "model.onnx").stat()
    assert publish(store, tmp_path, "second") == 2
    after = (repository / "m" / "1" / "model.onnx").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert served(repository) == "second"
    assert "serves second" in (repository / "m" / "config.pbtxt").read_text()


def test_a_rollback_brings_the_version_back_with_its_own_configuration(repository: Path, tmp_path: Path) -> None:
    store = Store(repository)
    for content in ("first", "second", "third"):
        publish(store, tmp_path, content)
    assert store.rollback("m") == 2
    assert served(repository) == "second"
    assert "serves second" in (repository / "m" / "config.pbtxt").read_text()
    record = store.record("m")
    assert record is not None
    assert (record.kept, record.retired, record.versions[3].reason) == ((1, 2), (3,), "rolled back")
    assert store.rollback("m", 3) == 3
    assert "serves third" in (repository / "m" / "config.pbtxt").read_text()
    assert store.rollback("m", 1) == 1
    assert store.verify("m", quick=False) == []
    assert store.next_version("m") == 4


def test_a_configuration_edited_in_place_is_kept_for_its_version_only(repository: Path, tmp_path: Path) -> None:
    store = Store(repository)
    publish(store, tmp_path, "first")
    config = repository / "m" / "config.pbtxt"
    with config.open("a") as file:
        file.write("# by hand\n")
    publish(store, tmp_path, "second")
    assert "by hand" not in config.read_text()
    with config.open("a") as file:
        file.write("# later\n")
    store.rollback("m")
    assert config.read_text().endswith("# by hand\n")
    assert store.verify("m") == []


def test_versions_that_are_too_many_are_deleted_the_oldest_first(repository: Path, tmp_path: Path) -> None:
    store = Store(repository, keep_versions=2)
    for content in ("first", "second", "third"):
        publish(store, tmp_path, content)
    record = store.record("m")
    assert record is not None
    assert record.kept == (2, 3)
    assert not (repository / "m" / "1").exists()
    assert not (repository / "m" / ".settings" / "1").exists()


def test_one_version_can_be_retired_but_not_the_only_one(repository: Path, tmp_path: Path) -> None:
    store = Store(repository)
    publish(store, tmp_path, "first")
    with pytest.raises(ModelRefused, match=r"is the only one that is served; .* models remove m"):
        store.retire("m", 1)
    publish(store, tmp_path, "second")
    store.retire("m", 2)
    assert served(repository) == "first"
    with pytest.raises(ModelRefused, match=r"version 2 is retired already \(retired\)"):
        store.retire("m", 2)
    with pytest.raises(ModelRefused, match="no version 7; kept: 1; retired, and can be gone back to by number: 2"):
        store.rollback("m", 7)
    with pytest.raises(ModelRefused, match="no earlier version to go back to"):
        store.rollback("m")


def test_a_removed_model_is_gone_and_can_come_back(repository: Path, tmp_path: Path) -> None:
    store = Store(repository)
    publish(store, tmp_path, "first", name="my_model")
    with pytest.raises(ModelRefused, match=r"no model 'my_modle' .*; did you mean 'my_model'"):
        store.remove("my_modle")
    store.remove("my_model")
    assert store.models() == []
    with pytest.raises(ModelRefused, match="there are: none"):
        store.remove("my_model")
    assert publish(store, tmp_path, "again", name="my_model") == 1


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "../up", "a b", "x" * 129, "a$(touch x)"])
def test_a_name_that_no_model_can_have_is_refused(repository: Path, name: str) -> None:
    with pytest.raises(ModelRefused, match="cannot be a model's name"):
        Store(repository).folder(name)


def test_a_folder_made_by_hand_is_recorded_and_updated(repository: Path, tmp_path: Path) -> None:
    store = Store(repository)
    shutil.move(make_prepared(tmp_path / "hand", "m", "by hand").folder, repository / "m")
    (repository / "m" / "README.md").write_text("mine")
    assert store.models() == ["m"]
    assert store.record("m") is None
    adopted = store.adopt("m", {"kind": "onnx"})
    assert (adopted, adopted.served) == (store.record("m"), 1)
    assert store.adopt("m") == adopted
    assert publish(store, tmp_path, "second") == 2
    assert (repository / "m" / "README.md").read_text() == "mine"
    assert store.rollback("m") == 1


def test_a_version_folder_added_by_hand_is_told_accepted_and_counted(repository: Path, tmp_path: Path) -> None:
    store = Store(repository)
    publish(store, tmp_path, "first")
    shutil.copytree(repository / "m" / "1", repository / "m" / "5")
    assert store.verify("m") == ["5: is not in the model's record"]
    assert store.next_version("m") == 6
    assert store.accept("m").kept == (1, 5)
    assert store.verify("m") == []
    assert publish(store, tmp_path, "next") == 6


def test_changes_by_hand_are_told_in_words_until_they_are_accepted(repository: Path, tmp_path: Path) -> None:
    store = Store(repository)
    publish(store, tmp_path, "first")
    version = repository / "m" / "1"
    (version / "model.onnx").write_text("FIRST")
    (version / "data" / "weights.bin").unlink()
    (version / "extra").write_text("x")
    told = ["1/data/weights.bin: is missing", "1/extra: was added", "1/model.onnx: was changed"]
    assert store.verify("m") == told
    store.accept("m")
    assert store.verify("m", quick=False) == []


def test_a_copied_repository_is_read_once_and_then_checked_quickly(repository: Path, tmp_path: Path) -> None:
    publish(Store(repository), tmp_path, "first")
    shutil.copytree(repository, tmp_path / "copy")
    store = Store(tmp_path / "copy")
    assert store.verify("m") == []
    record, status = store.record("m"), (tmp_path / "copy" / "m" / "1" / "model.onnx").stat()
    assert record is not None
    assert record.versions[1].files["model.onnx"].inode == status.st_ino


def test_a_drop_folder_of_the_same_name_is_replaced_by_the_model(repository: Path, tmp_path: Path) -> None:
    store = Store(repository)
    (repository / "m").mkdir()
    (repository / "m" / "saved_model.pb").write_text("dropped")
    with pytest.raises(ModelRefused, match="is in the way, which is not a model"):
        publish(store, tmp_path, "first")
    assert publish(store, tmp_path, "first", consume=[repository / "m"]) == 1
    assert not (repository / "m" / "saved_model.pb").exists()
    assert store.verify("m") == []


def test_a_drop_that_was_changed_meanwhile_is_not_published(repository: Path, tmp_path: Path) -> None:
    store = Store(repository)
    drop = make_drop(repository, "m", "first")
    seen = store.digest(drop)
    make_drop(repository, "m", "another")
    prepared = make_prepared(tmp_path / "prepared", "m", "first")
    with pytest.raises(ModelRefused, match="was changed while it was looked at"):
        store.publish("m", prepared, source="m.onnx", consume=drop, sha256=seen)
    assert all(path.exists() for path in drop)


def test_the_same_drop_is_recognised_as_published(repository: Path, tmp_path: Path) -> None:
    store = Store(repository)
    drop = make_drop(repository, "m", "first")
    sha256 = store.digest(drop)
    assert store.already_published("m", sha256) is None
    publish(store, tmp_path, "first", consume=drop)
    assert store.already_published("m", sha256) == 1
    assert store.already_published("m", "another") is None
    publish(store, tmp_path, "second")
    assert store.already_published("m", sha256) is None


def test_links_in_a_prepared_model_are_refused(repository: Path, tmp_path: Path) -> None:
    prepared = make_prepared(tmp_path / "prepared", "m", "first")
    (prepared.folder / "1" / "passwords").symlink_to("/etc/passwd")
    with pytest.raises(ModelRefused, match="passwords: a model consists of files and folders only"):
        Store(repository).publish("m", prepared, source="m.onnx")
    assert Store(repository).models() == []


def test_a_candidate_is_a_model_of_its_own_name_that_shares_nothing_writable(repository: Path, tmp_path: Path) -> None:
    prepared = make_prepared(tmp_path / "prepared", "m", "first")
    store = Store(repository)
    with store.staging() as scratch:
        folder = store.candidate("m-rehearsal", prepared.folder, scratch)
        assert folder == scratch / "m-rehearsal"
        assert 'name: "m-rehearsal"' in (folder / "config.pbtxt").read_text()
        assert (folder / "1" / "model.onnx").read_text() == "first"
    assert not folder.exists()
    assert 'name: "m"' in (prepared.folder / "config.pbtxt").read_text()


def test_a_full_disk_is_told_and_leaves_the_old_version(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(repository)
    publish(store, tmp_path, "first")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("gateway.repository.assemble.encode", full)
    with pytest.raises(SetupError, match="m: the disk is full; nothing was changed; make room"):
        publish(store, tmp_path, "second")
    monkeypatch.undo()
    assert served(repository) == "first"
    assert store.recover() == []
    assert list((repository / ".triton-gateway" / "staging").iterdir()) == []


def test_who_holds_the_repository_too_long_is_named(repository: Path, tmp_path: Path) -> None:
    holder = Store(repository)
    with (
        holder._workplace.locked("publishing big"),
        pytest.raises(SetupError, match=rf"changed by another process \(process {os.getpid()}, publishing big\)"),
    ):
        Store(repository, lock_seconds=0).recover()


def test_a_scratch_folder_of_a_living_process_is_left_alone(repository: Path) -> None:
    with Store(repository).staging() as scratch:
        (scratch / "file").write_text("mine")
        assert Store(repository).recover() == []
        assert (scratch / "file").exists()


def test_a_broken_record_names_itself_and_holds_up_only_its_model(repository: Path, tmp_path: Path) -> None:
    store = Store(repository)
    publish(store, tmp_path, "first", name="a")
    publish(store, tmp_path, "first", name="b")
    (repository / "a" / records.FILE_NAME).write_text('{"name": 1}')
    with pytest.raises(ModelRefused, match=r"a/\.triton-gateway\.json: is not a model's record .*; delete it"):
        store.record("a")
    assert store.models() == ["a", "b"]
    assert publish(store, tmp_path, "second", name="b") == 2


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.just(0)),
        st.tuples(st.just("rollback"), st.integers(0, 8)),
        st.tuples(st.just("retire"), st.integers(1, 8)),
    ),
    min_size=1,
    max_size=10,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations=OPERATIONS, keep=st.integers(1, 4))
def test_any_sequence_of_changes_leaves_what_the_record_says(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[str, int]], keep: int
) -> None:
    scratch = tmp_path_factory.mktemp("sequence")
    repository = scratch / "repository"
    repository.mkdir()
    store = Store(repository, keep)
    numbers = [publish(store, scratch, "0")]
    for operation, version in operations:
        try:
            if operation == "publish":
                numbers.append(publish(store, scratch, str(len(numbers))))
            elif operation == "rollback":
                store.rollback("m", version or None)
            else:
                store.retire("m", version)
        except ModelRefused:
            pass
        assert_consistent(store, repository)
        record = store.record("m")
        assert record is not None
        assert operation != "publish" or len(record.versions) <= keep
        number = record.served
        assert number is not None
        assert served(repository) == str(number - 1)
        assert f"serves {number - 1}\n" in (repository / "m" / "config.pbtxt").read_text()
    assert numbers == list(range(1, len(numbers) + 1))


def assert_consistent(store: Store, repository: Path) -> None:
    """The model is whole: each version as recorded, the configuration that of the highest, and no drop twice."""
    record = store.record("m")
    assert record is not None
    assert store.verify("m", quick=False) == []
    assert tuple(records.versions_in(repository / "m")) == record.kept
    retired = repository / "m" / ".retired"
    assert tuple(records.versions_in(retired) if retired.is_dir() else ()) == record.retired
    content = served(repository)
    assert f"serves {content}\n" in (repository / "m" / "config.pbtxt").read_text()
    assert (repository / "m" / str(record.served) / "data" / "weights.bin").read_text() == f"weights of {content}"
    published = {version.source_sha256 for version in record.versions.values()}
    assert store.digest(dropped(repository)) not in published
    assert list((repository / ".triton-gateway" / "staging").iterdir()) == []


def dropped(repository: Path) -> list[Path]:
    return [path for path in repository.iterdir() if path.suffix in {".onnx", ".yaml"}]


class Publisher:
    """Starts processes that change a repository, to be killed."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def start(self, seed: int, step: int = 0) -> int:
        assert self._process.stdin
        self._process.stdin.write(f"{seed} {step}\n")
        self._process.stdin.flush()
        return int(self._line())

    def wait(self) -> str:
        return self._line()

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


@contextmanager
def publisher(repository: Path, mode: str) -> Iterator[Publisher]:
    command = [sys.executable, "-m", "tests.gateway.repository.killed_publisher", str(repository), mode]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Publisher(process)
        finally:
            assert process.stdin
            process.stdin.close()


@pytest.mark.parametrize("mode", ["native", "steps"])
def test_a_publisher_killed_before_any_of_its_steps_leaves_the_old_version_or_the_new(
    repository: Path, tmp_path: Path, mode: str
) -> None:
    store = Store(repository)
    publish(store, tmp_path, "first")
    content, outcomes, step, outcome = "first", set(), 0, "killed"
    with publisher(repository, mode) as process:
        while outcome == "killed":
            step += 1
            process.start(seed=1, step=step)
            outcome = process.wait()
            store.recover()
            assert_consistent(store, repository)
            new = served(repository) == f"1-{step}"
            assert new or served(repository) == content
            assert len(dropped(repository)) == (0 if new else 2)
            outcomes.add("new" if new else "old")
            content = served(repository)
    assert step > 40
    assert outcomes == {"old", "new"}


@pytest.mark.parametrize("mode", ["native", "steps"])
def test_a_publisher_killed_at_random_moments_leaves_a_whole_model(repository: Path, tmp_path: Path, mode: str) -> None:
    store = Store(repository)
    publish(store, tmp_path, "first")
    chance = random.Random(4)  # noqa: S311 - reproducible, not secret
    with publisher(repository, mode) as process:
        for seed in range(25):
            child = process.start(seed)
            time.sleep(chance.uniform(0.0, 0.1))  # the moment is what is tried out, nothing is waited for
            os.kill(child, signal.SIGKILL)
            assert process.wait() == "killed"
            store.recover()
            assert_consistent(store, repository)
    assert store.next_version("m") > 2

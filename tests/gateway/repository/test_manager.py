"""The manager over real folders, the real sandbox and sites in memory."""

import asyncio
import filecmp
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from gateway.config import RepositorySection
from gateway.core.errors import SetupError
from gateway.repository import record
from gateway.repository.drops import INBOX
from gateway.repository.manager import Place, RepositoryManager
from gateway.repository.placement import SiteInfo
from gateway.repository.progress import News, NewsKind
from gateway.repository.site import FakeSite, ModelState
from gateway.repository.store import Store
from tests.gateway.repository import quick_sandbox
from tests.gateway.repository.dropped import onnx_model
from tests.gateway.repository.store_models import make_prepared

SETTLE = 0.2
SECONDS = 40.0


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


class Rig:
    """A manager that runs, and what it tells."""

    def __init__(self, repository: Path, **settings: Any) -> None:
        section = RepositorySection(path=repository, settle_seconds=SETTLE, **settings)
        self.repository, self.news = repository, list[News]()
        self.store = Store(repository)
        self.site = FakeSite(repository=repository)
        self.changes = 0
        self.manager = RepositoryManager(self.store, section, self._changed, self.news.append, again_seconds=0.3)

    def _changed(self) -> None:
        self.changes += 1

    def told(self, name: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.manager.status()["models"].get(name, {})
        return found

    def kinds(self) -> list[NewsKind]:
        return [news.kind for news in self.news]

    async def until(self, holds: Callable[[], object]) -> None:
        try:
            async with asyncio.timeout(SECONDS):
                while not holds():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pytest.fail(f"{self.manager.status()} {self.news} {self.site.calls}")

    async def until_ready(self, name: str, version: int = 1) -> None:
        await self.until(lambda: self.told(name).get("state") == "ready" and version in self.versions(name))

    def versions(self, name: str) -> tuple[int, ...]:
        state = self.site.states().get(name)
        return state.versions if state else ()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Rig"]:
        await self.manager.open()
        self.manager.use([Place(self.site, SiteInfo(self.site.name))])
        task = asyncio.create_task(self.manager.run())
        try:
            yield self
            assert not task.done(), task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def rig(repository: Path) -> AsyncIterator[Rig]:
    async with Rig(repository).running() as running:
        yield running


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test is not about the sandbox."""
    quick_sandbox.use(monkeypatch)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return onnx_model(tmp_path_factory.mktemp("model") / "abs.onnx", "Abs")


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return onnx_model(tmp_path_factory.mktemp("model") / "sqrt.onnx", "Abs", "Sqrt")


def by_hand(repository: Path, name: str, model: Path) -> Path:
    """A complete model folder, as people copy it."""
    folder = repository / name
    (folder / "1").mkdir(parents=True)
    shutil.copy(model, folder / "1" / "model.onnx")
    return folder


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """A process that has the file open for writing."""
    with subprocess.Popen(
        ["sh", "-c", f"exec 3>>{path}; echo open; read line"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        yield
        writer.communicate()


def children() -> list[bytes]:
    """The command lines of the processes that this one has started."""
    found = []
    for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        with suppress(OSError):
            found.append(Path(f"/proc/{child}/cmdline").read_bytes())
    return found


def published(repository: Path, scratch: Path, name: str = "m", content: str = "first") -> Path:
    prepared = make_prepared(scratch / "prepared" / content, name, content)
    Store(repository).publish(name, prepared, source=f"{name}.onnx")
    return repository / name


async def test_a_dropped_file_is_served_and_consumed(rig: Rig, model: Path) -> None:
    started = time.monotonic()
    shutil.copy(model, rig.repository / "fraud.onnx")
    await rig.until_ready("fraud")
    assert not (rig.repository / "fraud.onnx").exists()
    assert rig.kinds() == [NewsKind.DROPPED, NewsKind.PUBLISHED]
    assert time.monotonic() - started < SECONDS
    assert list((rig.repository / ".triton-gateway" / "staging").iterdir()) == []


@pytest.mark.usefixtures("quick")
async def test_an_update_is_tried_out_beside_the_old_version_first(rig: Rig, model: Path, other: Path) -> None:
    shutil.copy(model, rig.repository / "fraud.onnx")
    await rig.until_ready("fraud")
    shutil.copy(other, rig.repository / "fraud.onnx")
    await rig.until_ready("fraud", 2)
    assert rig.site.calls == [("load", "fraud"), ("rehearse", "fraud"), ("load", "fraud")]


@pytest.mark.usefixtures("quick")
async def test_what_triton_cannot_serve_is_refused_and_the_old_version_stays(
    rig: Rig, model: Path, other: Path
) -> None:
    shutil.copy(model, rig.repository / "fraud.onnx")
    await rig.until_ready("fraud")
    rig.site.failures["fraud"] = "no room on the GPU"
    shutil.copy(other, rig.repository / "fraud.onnx")
    await rig.until(lambda: rig.told("fraud")["state"] == "refused")
    assert "the old one stays: no room on the GPU" in rig.told("fraud")["reason"]
    assert rig.versions("fraud") == (1,)
    assert (rig.repository / "fraud.onnx").exists()
    assert rig.told("fraud")["drop"] == "fraud.onnx"


@pytest.mark.usefixtures("quick")
async def test_the_very_same_drop_once_more_is_no_new_version(rig: Rig, model: Path) -> None:
    for _ in range(2):
        shutil.copy(model, rig.repository / "fraud.onnx")
        await rig.until(lambda: not (rig.repository / "fraud.onnx").exists() and not rig.told("fraud")["drop"])
    await rig.until_ready("fraud")
    assert record.versions_in(rig.repository / "fraud") == [1]


async def test_a_refused_drop_is_taken_when_it_was_mended(rig: Rig, model: Path) -> None:
    drop = rig.repository / "fraud.onnx"
    shutil.copy(model, drop)
    os.truncate(drop, 100)
    await rig.until(lambda: rig.told("fraud").get("state") == "refused")
    assert "fraud.onnx" in rig.told("fraud")["reason"]
    mark = rig.told("fraud")["mark"]
    shutil.copy(model, drop)
    await rig.until_ready("fraud")
    assert "mark" not in rig.told("fraud")
    assert mark


async def test_a_refused_drop_that_is_taken_away_is_forgotten(rig: Rig) -> None:
    (rig.repository / "fraud.onnx").write_bytes(b"nothing")
    await rig.until(lambda: rig.told("fraud").get("state") == "refused")
    (rig.repository / "fraud.onnx").unlink()
    await rig.until(lambda: not rig.told("fraud"))


@pytest.mark.usefixtures("quick")
async def test_two_files_of_one_name_wait_until_one_is_gone(rig: Rig, model: Path) -> None:
    shutil.copy(model, rig.repository / "fraud.onnx")
    (rig.repository / "fraud.pt").write_bytes(b"x")
    await rig.until(lambda: "would be one model" in rig.told("fraud").get("reason", ""))
    (rig.repository / "fraud.pt").unlink()
    await rig.until_ready("fraud")


async def test_a_drop_that_changes_while_it_is_prepared_is_prepared_anew(rig: Rig, model: Path, other: Path) -> None:
    drop = rig.repository / "fraud.onnx"
    shutil.copy(model, drop)
    await rig.until(lambda: rig.told("fraud").get("step", "").startswith("reading"))
    shutil.copy(other, drop)
    await rig.until_ready("fraud")
    assert filecmp.cmp(rig.repository / "fraud" / "1" / "model.onnx", other, shallow=False)
    assert rig.kinds() == [NewsKind.DROPPED, NewsKind.DROPPED, NewsKind.PUBLISHED]


async def test_a_drop_that_is_removed_while_it_is_prepared_is_forgotten(rig: Rig, model: Path) -> None:
    shutil.copy(model, rig.repository / "fraud.onnx")
    await rig.until(lambda: rig.told("fraud").get("state") == "preparing")
    (rig.repository / "fraud.onnx").unlink()
    await rig.until(lambda: not rig.told("fraud"))
    assert NewsKind.PUBLISHED not in rig.kinds()


@pytest.mark.usefixtures("quick")
async def test_a_drop_of_the_name_of_a_folder_by_hand_is_its_next_version(rig: Rig, model: Path, other: Path) -> None:
    by_hand(rig.repository, "fraud", model)
    await rig.until_ready("fraud")
    shutil.copy(other, rig.repository / "fraud.onnx")
    await rig.until_ready("fraud", 2)
    assert filecmp.cmp(rig.repository / "fraud" / "1" / "model.onnx", model, shallow=False)


@pytest.mark.usefixtures("quick")
async def test_a_drop_in_the_inbox_is_taken_under_the_name_of_its_folder(rig: Rig, model: Path) -> None:
    hidden = rig.repository / INBOX / ".fraud.1"
    hidden.mkdir()
    shutil.copy(model, hidden / "whatever.onnx")
    hidden.rename(hidden.with_name("fraud"))
    await rig.until_ready("fraud")
    assert not (rig.repository / INBOX / "fraud").exists()


@pytest.mark.usefixtures("quick")
async def test_what_lay_there_before_the_start_is_served(repository: Path, model: Path) -> None:
    shutil.copy(model, repository / "fraud.onnx")
    by_hand(repository, "digits", model)
    async with Rig(repository).running() as rig:
        await rig.until_ready("digits")
        await rig.until_ready("fraud")


async def test_a_folder_by_hand_is_served_recorded_and_loaded_again_when_it_changes(
    rig: Rig, model: Path, other: Path
) -> None:
    folder = by_hand(rig.repository, "digits", model)
    await rig.until_ready("digits")
    assert rig.store.record("digits")
    shutil.copy(other, folder / "1" / "model.onnx")
    await rig.until(lambda: rig.site.calls.count(("load", "digits")) == 2)
    assert rig.store.verify("digits") == []
    assert NewsKind.CHANGED in rig.kinds()


async def test_a_folder_that_somebody_writes_is_not_read(rig: Rig, model: Path) -> None:
    folder = by_hand(rig.repository, "digits", model)
    with writing(folder / "1" / "model.onnx"):
        await rig.until(lambda: "digits" in rig.manager.holdings.busy)
        assert "digits" not in rig.manager.holdings.served
    await rig.until_ready("digits")


async def test_a_folder_that_is_removed_is_unloaded(rig: Rig, model: Path) -> None:
    folder = by_hand(rig.repository, "digits", model)
    await rig.until_ready("digits")
    shutil.rmtree(folder)
    await rig.until(lambda: rig.site.calls[-1] == ("unload", "digits"))
    assert rig.told("digits") == {}
    assert rig.kinds()[-1] == NewsKind.REMOVED


async def test_a_published_version_that_was_changed_stays_loaded_as_it_was(repository: Path, tmp_path: Path) -> None:
    folder = published(repository, tmp_path)
    async with Rig(repository).running() as rig:
        await rig.until_ready("m")
        (folder / "1" / "model.onnx").write_text("somebody's own")
        await rig.until(lambda: rig.told("m")["state"] == "refused")
        assert "models validate m --accept" in rig.told("m")["reason"]
        assert "still served" in rig.told("m")["reason"]
        assert rig.site.calls == [("load", "m")]
        assert rig.told("m")["sites"]["fake"]["state"] == "ready"

        rig.store.accept("m")  # what `models validate m --accept` does
        await rig.until(lambda: rig.site.calls.count(("load", "m")) == 2)
        await rig.until_ready("m")


async def test_a_published_version_that_was_changed_is_not_served_after_a_restart(
    repository: Path, tmp_path: Path
) -> None:
    folder = published(repository, tmp_path)
    (folder / "1" / "model.onnx").write_text("somebody's own")
    async with Rig(repository).running() as rig:
        await rig.until(lambda: rig.told("m").get("state") == "refused")
        assert rig.site.calls == []
        assert "still served" not in rig.told("m")["reason"]


async def test_an_older_version_that_was_changed_keeps_nobody_from_the_newest(repository: Path, tmp_path: Path) -> None:
    published(repository, tmp_path)
    folder = published(repository, tmp_path, content="second")
    (folder / "1" / "model.onnx").write_text("somebody's own")
    async with Rig(repository).running() as rig:
        await rig.until_ready("m", 2)
        rig.store.rollback("m")
        await rig.until(lambda: rig.told("m")["state"] == "refused")


async def test_a_record_that_cannot_be_read_is_told_until_it_is_deleted(repository: Path, tmp_path: Path) -> None:
    folder = published(repository, tmp_path)
    (folder / record.FILE_NAME).write_text("{")
    async with Rig(repository).running() as rig:
        await rig.until(lambda: "is not a model's record" in rig.told("m").get("reason", ""))
        (folder / record.FILE_NAME).unlink()
        await rig.until_ready("m")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
async def test_a_repository_that_cannot_be_written_is_served_as_it_is(repository: Path, model: Path) -> None:
    by_hand(repository, "digits", model)
    os.chmod(repository, 0o555)  # noqa: PTH101, S103 - no path object in a coroutine
    try:
        async with Rig(repository).running() as rig:
            await rig.until_ready("digits")
            assert "nothing can be published" in rig.manager.status()["error"]
    finally:
        os.chmod(repository, 0o755)  # noqa: PTH101, S103 - no path object in a coroutine


@pytest.mark.usefixtures("quick")
async def test_a_place_for_work_that_cannot_be_made_is_told_and_put_right_later(repository: Path, model: Path) -> None:
    by_hand(repository, "digits", model)
    (repository / ".triton-gateway").write_text("in the way")
    async with Rig(repository).running() as rig:
        await rig.until_ready("digits")
        assert "nothing can be published" in rig.manager.status()["error"]
        assert not (repository / "digits" / record.FILE_NAME).exists()
        shutil.copy(model, repository / "fraud.onnx")
        await rig.until(lambda: rig.told("fraud").get("state") == "refused")

        (repository / ".triton-gateway").unlink()
        await rig.until_ready("fraud")
        assert rig.manager.status()["error"] is None
        assert (repository / "digits" / record.FILE_NAME).exists()


async def test_a_repository_that_is_not_there_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="cannot be read"):
        await Rig(tmp_path / "none").manager.open()
    assert not (tmp_path / "none").exists()


async def test_a_repository_that_goes_away_is_served_on_and_followed_again(rig: Rig, model: Path) -> None:
    by_hand(rig.repository, "digits", model)
    await rig.until_ready("digits")
    away = rig.repository.rename(rig.repository.with_name("away"))
    await rig.until(lambda: "not followed now" in (rig.manager.status()["error"] or ""))
    rig.repository.mkdir()  # a mount point without its file system
    await rig.until(lambda: "nothing is mounted" in (rig.manager.status()["error"] or ""))
    assert rig.site.calls == [("load", "digits")]
    rig.repository.rmdir()
    by_hand(away, "more", model)
    away.rename(rig.repository)
    await rig.until_ready("more")
    assert ("unload", "digits") not in rig.site.calls
    assert rig.manager.status()["error"] is None


async def test_without_watching_the_folder_is_served_as_it_was(repository: Path, model: Path) -> None:
    by_hand(repository, "digits", model)
    async with Rig(repository, watch=False).running() as rig:
        await rig.until_ready("digits")
        assert rig.manager.status()["watched"] is False


async def test_a_model_that_no_site_may_hold_says_why(repository: Path, model: Path) -> None:
    by_hand(repository, "digits", model)
    rules = [{"models": "dig*", "labels": {"gpu": "big"}}]
    async with Rig(repository, placement=rules).running() as rig:
        assert "none of them has the labels gpu=big" in rig.told("digits")["reason"]
        assert rig.told("digits")["state"] == "refused"


async def test_a_site_that_cannot_load_a_model_says_why(rig: Rig, model: Path) -> None:
    rig.site.failures["digits"] = "out of memory"
    by_hand(rig.repository, "digits", model)
    await rig.until(lambda: rig.told("digits").get("state") == ModelState.FAILED)
    assert rig.told("digits")["reason"] == "out of memory"


@pytest.mark.usefixtures("quick")
async def test_faults_of_a_site_and_of_the_publisher_end_nothing(
    rig: Rig, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(rig.site, "serve", fail)
        by_hand(rig.repository, "digits", model)
        await rig.until(lambda: any("serve at fake failed" in news.message for news in rig.news))
        patch.setattr(rig.manager._publisher, "publish", fail)
        shutil.copy(model, rig.repository / "fraud.onnx")
        await rig.until(lambda: "a fault in the gateway: ZeroDivisionError()" in rig.told("fraud").get("reason", ""))
        patch.setattr(rig.manager._holdings, "look", lambda _: 1 // 0)
        (rig.repository / "x").mkdir()
        await rig.until(lambda: "ZeroDivisionError" in (rig.manager.status()["error"] or ""))
    await rig.until_ready("fraud")  # tried again by itself


@pytest.mark.usefixtures("quick")
async def test_what_passes_is_tried_again_by_itself(rig: Rig, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise SetupError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(rig.store, "publish", full)
        shutil.copy(model, rig.repository / "fraud.onnx")
        await rig.until(lambda: rig.told("fraud").get("reason") == "the disk is full")
    await rig.until_ready("fraud")


@pytest.mark.parametrize("step", ["reading", "loading", "publishing"])
async def test_stopping_at_any_time_leaves_nothing_behind(repository: Path, model: Path, step: str) -> None:
    shutil.copy(model, repository / "fraud.onnx")
    async with Rig(repository).running() as rig:
        await rig.until(lambda: rig.told("fraud").get("step", "").startswith(step) or rig.versions("fraud"))
    assert list((repository / ".triton-gateway" / "staging").iterdir()) == []
    assert (repository / "fraud.onnx").exists() != (repository / "fraud").exists()
    assert not any(b"sandboxed" in command for command in children())


async def test_a_thousand_models_cost_little(repository: Path, model: Path) -> None:
    for number in range(1000):
        folder = repository / f"m{number}"
        (folder / "1").mkdir(parents=True)
        shutil.copy(model, folder / "1" / "model.onnx")
    first = Rig(repository)
    await first.manager.open()  # makes the records
    rig = Rig(repository)
    started = time.monotonic()
    await rig.manager.open()
    opened = time.monotonic() - started
    started = time.monotonic()
    rig.manager.status()
    told = time.monotonic() - started
    shutil.rmtree(repository / "m500")
    started = time.monotonic()
    await rig.manager._look(["m500"])
    looked = time.monotonic() - started
    assert len(rig.manager.holdings.served) == 999
    assert opened < 5, opened
    assert told < 0.1, told
    assert looked < 1, looked

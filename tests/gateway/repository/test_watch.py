import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.repository.drops import INBOX
from gateway.repository.watch import Watcher, is_remote

SETTLE = 0.3


@pytest.fixture
async def seen(tmp_path: Path) -> AsyncIterator["asyncio.Queue[frozenset[str]]"]:
    """What a watcher of `tmp_path` tells, as soon as it watches."""
    queue: asyncio.Queue[frozenset[str]] = asyncio.Queue()
    watcher = Watcher(tmp_path, SETTLE)

    async def follow() -> None:
        async for names in watcher.settled():
            await queue.put(names)

    task = asyncio.create_task(follow())
    async with asyncio.timeout(20):
        assert await queue.get() == set()  # at first it tells what is there
    yield queue
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_came_to_rest_is_told_by_the_name_of_its_entry(
    tmp_path: Path, seen: "asyncio.Queue[frozenset[str]]"
) -> None:
    (tmp_path / "fraud" / "1").mkdir(parents=True)
    (tmp_path / "fraud" / "1" / "model.onnx").write_bytes(b"x")
    async with asyncio.timeout(10):
        assert await seen.get() == {"fraud"}


async def test_a_file_that_grows_is_not_told_of_before_it_rests(
    tmp_path: Path, seen: "asyncio.Queue[frozenset[str]]"
) -> None:
    loop = asyncio.get_running_loop()
    with (tmp_path / "large.onnx").open("wb") as file:
        for _ in range(8):
            file.write(b"x" * 1000)
            file.flush()
            await asyncio.sleep(SETTLE / 3)
        assert seen.empty()
        stopped = loop.time()
    async with asyncio.timeout(10):
        assert await seen.get() == {"large.onnx"}
    assert loop.time() - stopped >= SETTLE / 2


async def test_the_inbox_is_told_by_the_drop_and_the_gateways_own_work_not_at_all(
    tmp_path: Path, seen: "asyncio.Queue[frozenset[str]]"
) -> None:
    (tmp_path / ".triton-gateway" / "staging").mkdir(parents=True)
    (tmp_path / ".triton-gateway" / "staging" / "x").write_bytes(b"x")
    (tmp_path / INBOX / "fraud").mkdir(parents=True)
    (tmp_path / INBOX / "fraud" / "model.onnx").write_bytes(b"x")
    async with asyncio.timeout(10):
        assert await seen.get() == {f"{INBOX}/fraud"}


async def test_what_is_there_is_told_of_at_first(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / INBOX / "fraud").mkdir(parents=True)
    watcher = Watcher(tmp_path, SETTLE)
    watcher.touch("restless")
    async with asyncio.timeout(10), contextlib.aclosing(watcher.settled()) as settled:
        assert await anext(settled) == {"old", f"{INBOX}/fraud"}
        assert await anext(settled) == {"restless"}


async def test_a_folder_that_goes_away_or_is_replaced_ends_it(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    for replaced in (False, True):
        folder.mkdir()
        async with asyncio.timeout(10), contextlib.aclosing(Watcher(folder, SETTLE).settled()) as settled:
            await anext(settled)
            folder.rename(tmp_path / f"away-{replaced}")
            if replaced:
                folder.mkdir()
            with pytest.raises(FileNotFoundError):
                await anext(settled)
    folder.rmdir()
    with pytest.raises(FileNotFoundError):
        await anext(Watcher(folder, SETTLE).settled())


def test_file_systems_of_other_machines_are_polled() -> None:
    mounts = "/dev/vda / ext4 rw 0 0\nserver:/models /data/my\\040models nfs4 rw 0 0\n"
    assert is_remote(Path("/data/my models/a"), mounts)
    assert not is_remote(Path("/data/other"), mounts)
    assert isinstance(is_remote(Path("/")), bool)

import asyncio
import threading
from pathlib import Path

import pytest

from gateway.repository.store import Store
from gateway.repository.threads import staged, to_the_end


async def test_who_is_cancelled_waits_for_the_thread() -> None:
    started, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        go_on.wait(10)
        done.set()

    task = asyncio.create_task(to_the_end(work))
    await asyncio.to_thread(started.wait, 10)
    task.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done.is_set()


async def test_a_result_and_an_error_come_through() -> None:
    assert await to_the_end(int, "7") == 7
    with pytest.raises(ValueError, match="invalid literal"):
        await to_the_end(int, "x")


async def test_a_staged_folder_is_gone_afterwards(tmp_path: Path) -> None:
    async with staged(Store(tmp_path)) as folder:
        assert await asyncio.to_thread(folder.is_dir)
    assert not await asyncio.to_thread(folder.exists)

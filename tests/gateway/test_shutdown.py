import asyncio
import os
import signal

import pytest

from gateway.shutdown import end, on_signals, unless


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_first_signal_asks_to_stop(number: signal.Signals) -> None:
    loop = asyncio.get_running_loop()
    stop = on_signals()
    try:
        os.kill(os.getpid(), number)
        await asyncio.wait_for(stop.wait(), 5)
    finally:
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(each)


async def test_work_ends_when_it_is_asked_to() -> None:
    stop, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        stop.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    await asyncio.wait_for(unless(stop, work()), 5)
    assert ended.is_set()


async def test_what_goes_wrong_with_the_work_is_told() -> None:
    async def work() -> None:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        await unless(asyncio.Event(), work())


async def test_a_task_is_over_once_it_was_ended() -> None:
    task = asyncio.create_task(asyncio.Event().wait(), name="waits")
    await end(task)  # type: ignore[arg-type]  # what it would have given interests nobody
    assert task.cancelled()

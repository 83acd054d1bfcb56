"""How the launcher ends: on a signal, and with everything that it began."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any


async def end(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it is over."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def on_signals() -> asyncio.Event:
    """An event that SIGINT and SIGTERM set; a second one ends the process at once, and what it owns with it."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def first(number: signal.Signals) -> None:
        stop.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, first, number)
    return stop


async def unless(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do `work` until it fails, ends, or `stop` is set."""
    task, stopped = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
    finally:
        for owned in (task, stopped):
            owned.cancel()
        await asyncio.gather(task, stopped, return_exceptions=True)

import asyncio
import subprocess
import sys
import threading

import pytest

from gateway.tap.daemon import in_daemon


def failing() -> None:
    raise ValueError("no")


async def test_it_gives_what_the_call_gives() -> None:
    assert await in_daemon(lambda one, two: one + two, 1, two=2) == 3
    assert await in_daemon(threading.current_thread) is not threading.current_thread()
    with pytest.raises(ValueError, match="no"):
        await in_daemon(failing)


async def test_what_comes_too_late_is_dropped() -> None:
    let = threading.Event()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await in_daemon(let.wait)
    let.set()
    await in_daemon(lambda: None)


def test_a_loop_that_is_closed_meanwhile_is_no_error() -> None:
    let, threads = threading.Event(), list[threading.Thread]()

    def wait() -> None:
        threads.append(threading.current_thread())
        let.wait()

    async def give_up() -> None:
        async with asyncio.timeout(0.01):
            await in_daemon(wait)

    with pytest.raises(TimeoutError):
        asyncio.run(give_up())
    let.set()
    threads[0].join(20)
    assert not threads[0].is_alive()


HANGS = """
import asyncio, threading
from gateway.tap.daemon import in_daemon
async def main():
    async with asyncio.timeout(0.1):
        await in_daemon(threading.Event().wait)
try:
    asyncio.run(main())
except TimeoutError:
    print("ended")
"""


def test_a_process_ends_though_a_call_never_does() -> None:
    ended = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=50, check=True)
    assert (ended.stdout, ended.stderr) == ("ended\n", "")

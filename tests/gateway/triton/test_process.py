"""A guarded process, with a shell in the place of Triton."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.core.errors import SetupError
from gateway.triton.process import TritonProcess
from gateway.triton.runtime import RuntimeFolder

from .conftest import Until, is_alive


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[RuntimeFolder]:
    runtime = RuntimeFolder.create(tmp_path)
    yield runtime
    runtime.remove()


async def launch(script: str, runtime: RuntimeFolder, log: Path) -> TritonProcess:
    return await TritonProcess.launch(["/bin/bash", "-c", script], dict(os.environ), runtime, log)


@pytest.mark.parametrize(
    ("script", "ending"),
    [
        ("exit 3", "it ended by itself with exit code 3"),
        ("kill -SEGV $$", "it was ended by SIGSEGV"),
        ("kill -40 $$", "it was ended by signal 40"),
    ],
)
async def test_it_says_how_triton_ended(runtime: RuntimeFolder, tmp_path: Path, script: str, ending: str) -> None:
    process = await launch(script, runtime, tmp_path / "log")
    assert await process.wait() == ending
    await process.close()


async def test_a_program_that_is_not_there_is_a_clear_error(runtime: RuntimeFolder, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="/no/such cannot be started: No such file or directory"):
        await TritonProcess.launch(["/no/such"], dict(os.environ), runtime, tmp_path / "log")


async def test_stopping_waits_no_longer_than_the_grace(runtime: RuntimeFolder, tmp_path: Path, until: Until) -> None:
    log = tmp_path / "log"
    process = await launch("trap '' TERM; echo ready; while :; do sleep 0.01; done", runtime, log)
    await until(lambda: log.exists() and "ready" in log.read_text())
    await process.stop(0.1)
    assert await process.wait() == "it was ended by SIGKILL"
    await process.close()


async def test_waiting_can_be_cancelled_and_repeated(runtime: RuntimeFolder, tmp_path: Path) -> None:
    process = await launch("sleep 1000", runtime, tmp_path / "log")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await process.wait()
    os.kill(process.pid, signal.SIGKILL)
    assert await process.wait() == "it was ended by SIGKILL"
    await process.close()


async def test_a_guard_that_is_killed_is_noticed_when_triton_is_gone_too(
    runtime: RuntimeFolder, tmp_path: Path
) -> None:
    process = await launch("sleep 1000", runtime, tmp_path / "log")
    os.kill(os.getsid(process.pid), signal.SIGKILL)  # the guard leads the session
    assert await process.wait() == "its guard process was killed"
    assert not is_alive(process.pid)
    await process.close()


async def test_closing_ends_what_still_runs(runtime: RuntimeFolder, tmp_path: Path, until: Until) -> None:
    process = await launch("sleep 1000", runtime, tmp_path / "log")
    assert is_alive(process.pid)
    await process.close()
    await until(lambda: not is_alive(process.pid))


async def test_triton_runs_in_a_session_of_its_own(runtime: RuntimeFolder, tmp_path: Path) -> None:
    process = await launch("sleep 1000", runtime, tmp_path / "log")
    assert os.getsid(process.pid) != os.getsid(0)
    await process.close()

"""Backend processes as Triton starts them, without Triton."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

StartStub = Callable[..., "subprocess.Popen[bytes]"]
Until = Callable[[Callable[[], object]], Awaitable[None]]


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits for its parent to notice its end does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return False


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """The folder of models as Triton sees it."""
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def start_stub(models: Path) -> Iterator[StartStub]:
    """Starts a child of this process that looks like a backend process of a model, and ends with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(model: str, region: str = "no-region", instance: str = "") -> subprocess.Popen[bytes]:
        file = models / model / "1" / "model.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():  # an older process may be about to read it
            file.write_text("read forever\n")  # a shell waits here for its standard input
        words = ["/x/triton_python_backend_stub", str(file), region, "1048576", "1048576", "1", "/x", "336"]
        command = [*words, instance or f"{model}_0", "DEFAULT"]
        process = subprocess.Popen(command, executable="/bin/sh", stdin=subprocess.PIPE)
        cmdline = Path(f"/proc/{process.pid}/cmdline")
        deadline = time.monotonic() + 10
        while b"model.py" not in cmdline.read_bytes() and time.monotonic() < deadline:
            time.sleep(0.001)  # until the exec
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def until() -> Until:
    """Waits until a condition holds."""

    async def wait(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.005)

    return wait

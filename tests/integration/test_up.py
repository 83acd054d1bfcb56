"""`triton-gateway up` as a user runs it: one process to start, and nothing left when it ends, however it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.sockets import bind
from gateway.triton.fetch import TritonInstall
from tests.gateway.triton.conftest import is_alive

pytestmark = pytest.mark.integration

MODEL = """
import triton_python_backend_utils as pb

class TritonPythonModel:
    def execute(self, requests):
        return [
            pb.InferenceResponse([pb.Tensor("OUT", pb.get_input_tensor_by_name(request, "IN").as_numpy() + 1)])
            for request in requests
        ]
"""
CONFIG = """
backend: "python"
input [ { name: "IN" data_type: TYPE_INT32 dims: [ 1 ] } ]
output [ { name: "OUT" data_type: TYPE_INT32 dims: [ 1 ] } ]
"""
BODY = {"inputs": [{"name": "IN", "shape": [1], "datatype": "INT32", "data": [41]}]}


@dataclass
class Up:
    """A running `triton-gateway up`.

    Attributes:
        process: the launcher.
        lines: what it has printed so far.
    """

    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list)

    async def read_until(self, pattern: str) -> str:
        """Read on until a line matches."""
        assert self.process.stdout is not None
        while line := (await self.process.stdout.readline()).decode():
            self.lines.append(line.rstrip())
            if re.search(pattern, line):
                return line
        raise AssertionError(f"it ended without a line like {pattern!r}:\n" + "\n".join(self.lines))

    def address(self, name: str) -> str:
        """The "localhost:PORT" that it printed."""
        return next(m[1] for line in self.lines if (m := re.search(rf"{name} +(?:http://)?(localhost:\d+)", line)))

    async def status(self) -> dict[str, Any]:
        """What the control API says."""
        async with httpx.AsyncClient(trust_env=False) as client:
            status: dict[str, Any] = (await client.get(f"http://{self.address('control')}/v1/status")).json()
            return status

    def owned(self) -> set[int]:
        """The launcher and every process below it."""
        found, queue = set[int](), [self.process.pid]
        while queue:
            pid = queue.pop()
            found.add(pid)
            with contextlib.suppress(OSError):
                queue += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return found


async def until(condition: Callable[[], bool], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


def segments(owned: set[int]) -> set[Path]:
    """The shared memory that these processes have mapped."""
    maps = "".join(Path(f"/proc/{pid}/maps").read_text() for pid in owned)
    return {Path(path) for path in re.findall(r" (/dev/shm/\S+)$", maps, re.MULTILINE)}


async def nothing_is_left(up: Up, owned: set[int], shared: set[Path]) -> None:
    await until(lambda: not any(map(is_alive, owned)), 20)
    await until(lambda: not any(segment.exists() for segment in shared), 5)
    for name in ("HTTP", "control"):
        bind("127.0.0.1", int(up.address(name).rpartition(":")[2]), "a port that must be free").close()


@pytest.fixture
async def up(triton_install: TritonInstall, tmp_path: Path) -> AsyncIterator[Up]:
    """The gateway, serving one small model from a repository whose path has a space."""
    repository = tmp_path / "my models"
    (repository / "plus_one" / "1").mkdir(parents=True)
    (repository / "plus_one" / "1" / "model.py").write_text(MODEL)
    (repository / "plus_one" / "config.pbtxt").write_text(CONFIG)
    ports = ("http", "grpc", "control", "triton.http_", "triton.grpc_", "triton.metrics_")
    values = [f"{name}port=0" if name.endswith("_") else f"{name}.port=0" for name in ports]
    values += [f"repository.path={repository}", f"triton.log_file={tmp_path / 'triton.log'}"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli", "up", "--no-demo"),
        *(argument for value in values for argument in ("--set", value)),
        cwd=tmp_path,
        env=os.environ | {"PYTHONUNBUFFERED": "1", "COLUMNS": "200"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    up = Up(process)
    try:
        async with asyncio.timeout(60):
            await up.read_until("Serving")
        yield up
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def infer(client: httpx.AsyncClient, up: Up) -> httpx.Response:
    return await client.post(f"http://{up.address('HTTP')}/v2/models/plus_one/infer", json=BODY)


async def answers(up: Up) -> None:
    """The model gives the right answer."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        reply = await infer(client, up)
    assert reply.status_code == 200
    assert reply.json()["outputs"][0]["data"] == [42]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_stops_in_order_and_leaves_nothing(up: Up, number: signal.Signals) -> None:
    await answers(up)
    owned = up.owned()
    shared = segments(owned)
    assert len(owned) >= 6  # launcher, data, control, Triton's guard, Triton, and its backend process
    assert shared

    up.process.send_signal(number)

    await up.read_until("Stopped")
    assert await up.process.wait() == 0
    await nothing_is_left(up, owned, shared)


async def test_the_status_can_be_asked_for_on_the_command_line(up: Up) -> None:
    port = up.address("control").rpartition(":")[2]
    words = ("status", "--set", f"control.port={port}")
    asked = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli", *words),
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"COLUMNS": "200"},
    )
    told, _ = await asked.communicate()
    assert asked.returncode == 0
    assert re.search(r"plus_one +│ ready", told.decode())


async def test_killed_without_a_word_it_leaves_nothing(up: Up) -> None:
    owned = up.owned()
    shared = segments(owned)
    up.process.kill()
    await up.process.wait()
    await nothing_is_left(up, owned, shared)


async def test_triton_killed_under_load_is_back_and_clients_get_clean_answers(up: Up) -> None:
    triton = (await up.status())["triton"]["pid"]
    seen: set[int] = set()
    back = asyncio.Event()
    killed = asyncio.Event()

    async def call_on_and_on() -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            while not back.is_set():
                reply = await infer(client, up)
                seen.add(reply.status_code)
                if reply.status_code == 200:
                    assert reply.json()["outputs"][0]["data"] == [42]
                    if killed.is_set() and not is_alive(triton):
                        back.set()
                else:
                    assert reply.json()["error"]
                    assert "Traceback" not in reply.text

    async with asyncio.timeout(15), asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(call_on_and_on())
        while 200 not in seen:
            await asyncio.sleep(0.01)
        os.kill(triton, signal.SIGKILL)
        killed.set()

    assert seen - {200} <= {400, 404, 503}
    async with asyncio.timeout(10):  # clients may know before the control process has been told
        while (status := (await up.status())["triton"])["restarts"] == 0:
            await asyncio.sleep(0.02)
    assert status["restarts"] == 1
    assert status["pid"] != triton
    async with asyncio.timeout(10):  # and it does not go on to say that it restarts
        while (await up.status())["triton"]["state"] != "ready":
            await asyncio.sleep(0.02)


async def test_a_worker_is_started_again_on_the_same_ports(up: Up) -> None:
    [worker] = (await up.status())["workers"]
    os.kill(worker["pid"], signal.SIGKILL)
    await up.read_until("data-0 process died")
    await answers(up)  # at once: its ports stayed open
    async with asyncio.timeout(10):  # clients may know before the control process has been told
        while (replaced := (await up.status())["workers"][0]["pid"]) in (None, worker["pid"]):
            await asyncio.sleep(0.02)
    assert is_alive(replaced)


async def test_the_control_process_may_die_and_traffic_goes_on(up: Up) -> None:
    control = (await up.status())["processes"]["control"]
    os.kill(control, signal.SIGKILL)
    await answers(up)
    await up.read_until("control process died")
    async with asyncio.timeout(15):
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await up.status()).get("triton", {}).get("state") == "ready":
                    break
            await asyncio.sleep(0.02)

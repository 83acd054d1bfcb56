import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.config import Config, UpstreamSection
from gateway.core.errors import SetupError
from gateway.processes import Child
from gateway.sockets import Listening, bind


@pytest.fixture
def deaths() -> asyncio.Queue[tuple[int, float]]:
    return asyncio.Queue()


@pytest.fixture
async def control(config: Config, deaths: asyncio.Queue[tuple[int, float]]) -> AsyncIterator[Child]:
    child = Child("control", lambda: config, lambda status, delay: deaths.put_nowait((status, delay)))
    yield child
    await child.stop(5)


async def get(url: str) -> httpx.Response:
    """Ask until somebody answers."""
    async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(20):
        while True:
            with contextlib.suppress(httpx.TransportError):
                return await client.get(url)
            await asyncio.sleep(0.01)


async def test_a_child_says_where_it_serves_and_hears_what_it_is_told(control: Child) -> None:
    address = (await control.start())["control"]
    control.tell({"hello": 1})
    async with asyncio.timeout(10):
        while (status := await get(f"http://{address}/v1/status")).status_code == 503:
            await asyncio.sleep(0.01)
    assert status.json() == {"hello": 1}


async def test_a_child_that_dies_is_started_again_and_told_again(
    config: Config, deaths: asyncio.Queue[tuple[int, float]]
) -> None:
    ports: list[int] = [0]

    def current() -> Config:
        return config.model_copy(update={"control": config.control.model_copy(update={"port": ports[0]})})

    child = Child("control", current, lambda status, delay: deaths.put_nowait((status, delay)))
    address = (await child.start())["control"]
    ports[0] = int(address.rpartition(":")[2])
    child.tell({"hello": 2})
    first = child.pid
    assert first is not None

    os.kill(first, signal.SIGKILL)

    assert await asyncio.wait_for(deaths.get(), 10) == (-signal.SIGKILL, 0.1)
    async with asyncio.timeout(20):
        while (await get(f"http://{address}/v1/status")).status_code != 200:
            await asyncio.sleep(0.01)
    assert child.pid != first
    await child.stop(5)


async def test_a_child_that_cannot_start_says_why(config: Config) -> None:
    with bind("127.0.0.1", 0, "control.port") as taken:
        port = taken.getsockname()[1]
        busy = config.model_copy(update={"control": config.control.model_copy(update={"port": port})})
        child = Child("control", lambda: busy, lambda *_: None)
        with pytest.raises(SetupError, match=rf"port {port} \(control.port\) on 127.0.0.1 is in use"):
            await child.start()
        await child.stop(1)


async def test_data_without_a_triton_says_so(config: Config) -> None:
    child = Child("data", lambda: config, lambda *_: None)
    with pytest.raises(SetupError, match="upstreams: no Triton"):
        await child.start()


async def test_stopping_is_orderly_and_frees_the_ports(config: Config) -> None:
    external = config.model_copy(update={"upstreams": (UpstreamSection(http="127.0.0.1:1", grpc="127.0.0.1:2"),)})
    child = Child("data", lambda: external, lambda *_: None)
    address = (await child.start())["http"]
    assert (await get(f"http://{address}/v2/health/live")).status_code == 200
    assert (await get(f"http://{address}/v2/health/ready")).status_code == 503

    await child.stop(5)

    host, _, port = address.rpartition(":")
    bind(host, int(port), "http.port").close()


async def test_a_child_reports_what_its_parent_can_do_without(config: Config) -> None:
    external = config.model_copy(update={"upstreams": (UpstreamSection(http="127.0.0.1:1", grpc="127.0.0.1:2"),)})
    reports: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    child = Child("data", lambda: external, lambda *_: None, on_report=reports.put_nowait)
    await child.start()
    report = await asyncio.wait_for(reports.get(), 10)
    assert [(each["name"], each["healthy"]) for each in report["upstreams"]] == [("127.0.0.1:1", False)]
    await child.stop(5)


async def test_a_child_serves_on_the_sockets_that_it_inherits(config: Config) -> None:
    external = config.model_copy(update={"upstreams": (UpstreamSection(http="127.0.0.1:1", grpc="127.0.0.1:2"),)})
    listening = Listening.bound(external)
    child = Child("data", lambda: external, lambda *_: None, sockets=listening.descriptors())
    addresses = listening.addresses(external)
    early = asyncio.create_task(get(f"http://{addresses['http']}/v2/health/live"))  # waits in the backlog
    assert await child.start() == addresses
    assert (await early).status_code == 200
    await child.stop(5)
    listening.close()


async def test_a_child_ends_when_its_parent_is_killed(config: Config, tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import asyncio, sys\n"
        "from gateway.config import Config\n"
        "from gateway.processes import Child\n"
        "async def main():\n"
        "    config = Config.model_validate_json(sys.argv[1])\n"
        "    child = Child('control', lambda: config, lambda *_: None)\n"
        "    print((await child.start())['control'], flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, str(script), config.model_dump_json(), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    address = (await parent.stdout.readline()).decode().strip()
    assert (await get(f"http://{address}/health/live")).status_code == 200

    parent.kill()
    await parent.wait()

    host, _, port = address.rpartition(":")
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(SetupError):
                bind(host, int(port), "control.port").close()
                break
            await asyncio.sleep(0.01)

import asyncio
import io
import os
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from gateway.config import Config, UpstreamSection, load
from gateway.core.errors import SetupError
from gateway.reload import ConfigFile
from gateway.repository.scan import installed_frameworks
from gateway.sockets import bind
from gateway.up import Gateway, check_ports, frameworks_of
from gateway.upstreams.fake_triton import FakeTriton


@pytest.mark.parametrize("key", ["http.port", "grpc.port", "control.port"])
def test_a_port_in_use_is_found_before_anything_slow_is_done(config: Config, key: str) -> None:
    with bind("127.0.0.1", 0, "a test's port") as taken:
        port = taken.getsockname()[1]
        section, _, field = key.partition(".")
        busy = config.model_copy(
            update={section: getattr(config, section).model_copy(update={field: port, "host": "127.0.0.1"})}
        )
        with pytest.raises(SetupError, match=rf"port {port} \({key}\) on 127.0.0.1 is in use; stop what uses it"):
            check_ports(busy)


def test_free_ports_are_left_free(config: Config) -> None:
    check_ports(config)
    check_ports(config)
    assert config.http.port == 0


def test_the_frameworks_are_those_that_are_configured_else_those_that_are_installed() -> None:
    assert frameworks_of(load(None, ("repository.frameworks=[onnx]",))) == ("onnx",)
    assert frameworks_of(load(None)) == installed_frameworks()


class Running:
    """A gateway that runs in this process, its children beside it."""

    def __init__(self, config: Config, file: ConfigFile | None = None) -> None:
        self._output = io.StringIO()
        gateway = Gateway(config, Console(file=self._output, width=300), file)
        self.task = asyncio.create_task(gateway.run(None, demo=False))

    @property
    def told(self) -> str:
        return self._output.getvalue()

    async def until_told(self, words: str) -> None:
        async with asyncio.timeout(30):
            while words not in self.told:
                if self.task.done():
                    self.task.result()
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        if not self.task.done():
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(self.task, 20)

    def address(self, name: str) -> str:
        found = re.search(rf"{name} +(?:http://)?(localhost:\d+)", self.told)
        assert found
        return found[1]

    async def status(self) -> Any:
        """What the control process tells, once it was told something itself."""
        async with asyncio.timeout(10), httpx.AsyncClient(trust_env=False) as client:
            while (reply := await client.get(f"http://{self.address('control')}/v1/status")).status_code == 503:
                await asyncio.sleep(0.02)
            return reply.json()

    async def infer(self) -> httpx.Response:
        body = {"inputs": [{"name": "IN", "shape": [1], "datatype": "INT32", "data": [1]}]}
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            return await client.post(f"http://{self.address('HTTP')}/v2/models/echo/infer", json=body)


Start = Callable[..., Awaitable[Running]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts a gateway and waits until it serves; it is stopped with the test."""
    started: list[Running] = []

    async def serve(config: Config, file: ConfigFile | None = None) -> Running:
        running = Running(config, file)
        started.append(running)
        await running.until_told("Serving.")
        return running

    yield serve
    for running in started:
        await running.stop()


@pytest.fixture
async def triton() -> AsyncIterator[FakeTriton]:
    async with FakeTriton() as triton:
        yield triton


def seen_by_the_first(status: Any) -> Any:
    """The upstreams, as the first worker sees them."""
    return status["workers"][0].get("upstreams", ())


def in_front_of(config: Config, *addresses: tuple[str, str]) -> Config:
    upstreams = tuple(UpstreamSection(http=http, grpc=grpc) for http, grpc in addresses)
    return config.model_copy(update={"upstreams": upstreams})


async def test_in_front_of_an_external_triton_it_serves_until_the_signal(config: Config, start: Start) -> None:
    running = await start(in_front_of(config, ("127.0.0.1:1", "127.0.0.1:2")))
    assert "! 127.0.0.1:1 is not ready yet" in running.told
    assert "No external Triton is ready yet" in running.told
    await running.stop()
    assert running.told.splitlines()[-2:] == ["Stopping: requests in flight are finished first ...", "Stopped."]


async def test_it_says_which_external_tritons_are_ready(config: Config, start: Start, triton: FakeTriton) -> None:
    running = await start(in_front_of(config, (triton.http, triton.grpc), ("127.0.0.1:1", "127.0.0.1:2")))
    await running.until_told("127.0.0.1:1 is not ready yet")
    assert f"✓ {triton.http} is ready" in running.told
    assert "No external Triton" not in running.told
    async with asyncio.timeout(10):
        while not (status := await running.status())["workers"] or len(seen_by_the_first(status)) < 2:
            await asyncio.sleep(0.02)
    assert [each["healthy"] for each in seen_by_the_first(status)] == [True, False]
    assert status["config"] == {"file": None, "error": None, "waiting": []}


async def test_the_signal_under_load_fails_no_request_that_has_come(
    config: Config, start: Start, triton: FakeTriton
) -> None:
    running = await start(in_front_of(config, (triton.http, triton.grpc)).model_copy(update={"workers": 2}))
    triton.upstream.gate.clear()
    requests = [asyncio.create_task(running.infer()) for _ in range(20)]
    async with asyncio.timeout(10):
        while sum(bool(call.model) for call in triton.upstream.calls) < 20:
            await asyncio.sleep(0.01)
    stopping = asyncio.create_task(running.stop())
    await running.until_told("Stopping")
    triton.upstream.gate.set()
    assert [reply.status_code for reply in await asyncio.gather(*requests)] == [200] * 20
    await stopping


async def test_external_tritons_are_filled_from_the_repository(
    config: Config, start: Start, triton: FakeTriton, tmp_path: Path
) -> None:
    for name in ("echo", "not a name"):
        (tmp_path / name / "1").mkdir(parents=True)
        (tmp_path / name / "1" / "model.py").write_text("")
        (tmp_path / name / "config.pbtxt").write_text('backend: "python"')
    repository = config.repository.model_copy(update={"path": tmp_path, "fill_upstreams": True})
    running = await start(in_front_of(config, (triton.http, triton.grpc)).model_copy(update={"repository": repository}))
    async with asyncio.timeout(20):
        while not (told := (await running.status())["repository"])["models"]["echo"]["sites"]:
            await asyncio.sleep(0.02)
    assert told["path"] == str(tmp_path)
    assert told["models"]["not a name"]["state"] == "refused"
    assert "not a name" in running.told


async def test_a_port_that_is_taken_meanwhile_ends_it_with_the_reason(config: Config) -> None:
    with bind("127.0.0.1", 0, "a test's port") as taken:
        port = taken.getsockname()[1]
        busy = in_front_of(config, ("127.0.0.1:1", "127.0.0.1:2")).model_copy(
            update={"grpc": config.grpc.model_copy(update={"port": port})}
        )
        with pytest.raises(SetupError, match=rf"port {port} \(grpc.port\)"):
            await Gateway(busy, Console(file=io.StringIO())).run(None, demo=False)


class TestTheConfigurationChanges:
    """The file is written while the gateway serves; what the command line said stays in force."""

    @pytest.fixture
    def file(self, tmp_path: Path, triton: FakeTriton) -> ConfigFile:
        path = tmp_path / "gateway.yaml"
        self.addresses = f"{{http: '{triton.http}', grpc: '{triton.grpc}'}}"
        self.write(path)
        on_the_command_line = (
            "http={host: 127.0.0.1, port: 0}",
            "grpc={host: 127.0.0.1, port: 0}",
            "control={port: 0}",
            "limits.drain_seconds=1",
        )
        return ConfigFile(path, lambda: load(path, on_the_command_line))

    def write(self, path: Path, *sections: str) -> None:
        path.write_text("\n".join((f"upstreams: [{self.addresses}]", *sections)))

    async def test_what_can_change_does_without_a_dropped_request(self, file: ConfigFile, start: Start) -> None:
        running = await start(file.read(), file)
        assert file.path is not None
        statuses: list[int] = []
        stop = asyncio.Event()

        async def call_on_and_on() -> None:
            while not stop.is_set():
                statuses.append((await running.infer()).status_code)

        caller = asyncio.create_task(call_on_and_on())
        self.write(file.path, "admin: {repository_index: false}", "limits: {deadline_seconds: 7}", "workers: 3")
        await running.until_told("limits.deadline_seconds, admin.repository_index changed; workers only at the next")
        async with asyncio.timeout(10), httpx.AsyncClient(trust_env=False) as client:
            index = f"http://{running.address('HTTP')}/v2/repository/index"
            while (await client.post(index)).status_code != 403:
                await asyncio.sleep(0.02)
        stop.set()
        await caller
        assert set(statuses) == {200}
        async with asyncio.timeout(10):
            while not (told := (await running.status())["config"])["waiting"]:
                await asyncio.sleep(0.02)
        assert told == {"file": str(file.path), "error": None, "waiting": ["workers"]}

    async def test_a_broken_one_is_refused_and_the_old_one_stays(self, file: ConfigFile, start: Start) -> None:
        running = await start(file.read(), file)
        assert file.path is not None
        self.write(file.path, "admin: {repository_indx: false}")
        refusal = "unknown key 'admin.repository_indx'; did you mean 'repository_index'?"
        await running.until_told(f"is refused, the old one stays: {file.path}:2: {refusal}")
        assert (await running.infer()).status_code == 200
        async with asyncio.timeout(10):
            while not (error := (await running.status())["config"]["error"]):
                await asyncio.sleep(0.02)
        assert error.endswith(refusal)

        self.write(file.path)  # right again
        await running.until_told("was read again: nothing changed")
        async with asyncio.timeout(10):
            while (await running.status())["config"]["error"]:
                await asyncio.sleep(0.02)

    async def test_tritons_come_and_go(self, file: ConfigFile, start: Start, triton: FakeTriton) -> None:
        running = await start(file.read(), file)
        assert file.path is not None
        async with FakeTriton() as new:
            self.addresses = f"{{http: '{new.http}', grpc: '{new.grpc}'}}"
            self.write(file.path)
            await running.until_told("upstreams changed")
            async with asyncio.timeout(10):
                while not any(call.model for call in new.upstream.calls):
                    assert (await running.infer()).status_code == 200
            await triton.refuse()
            assert (await running.infer()).status_code == 200

    async def test_sighup_has_it_read_at_once(self, file: ConfigFile, start: Start) -> None:
        running = await start(file.read(), file)
        os.kill(os.getpid(), signal.SIGHUP)
        await running.until_told("The configuration was read again: nothing changed")
        assert (await running.infer()).status_code == 200

import asyncio
import io
import os
import signal

import pytest
from rich.console import Console

from gateway.config import Config, UpstreamSection, load
from gateway.core.errors import SetupError
from gateway.frontends.server import bind
from gateway.repository.scan import installed_frameworks
from gateway.up import Gateway, check_ports, frameworks_of


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


async def test_in_front_of_an_external_triton_it_serves_until_the_signal(config: Config) -> None:
    told = io.StringIO()
    external = config.model_copy(update={"upstream": UpstreamSection(http="127.0.0.1:1", grpc="127.0.0.1:2")})
    running = asyncio.create_task(Gateway(external, Console(file=told, width=200)).run(None, demo=False))
    async with asyncio.timeout(30):
        while "Serving." not in told.getvalue():
            await asyncio.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(running, 20)
    assert "The external Triton is not ready yet" in told.getvalue()
    assert told.getvalue().splitlines()[-2:] == ["Stopping: requests in flight are finished first ...", "Stopped."]


async def test_a_port_that_is_taken_meanwhile_ends_it_with_the_reason(config: Config) -> None:
    with bind("127.0.0.1", 0, "a test's port") as taken:
        port = taken.getsockname()[1]
        busy = config.model_copy(
            update={
                "upstream": UpstreamSection(http="127.0.0.1:1", grpc="127.0.0.1:2"),
                "grpc": config.grpc.model_copy(update={"port": port}),
            }
        )
        with pytest.raises(SetupError, match=rf"port {port} \(grpc.port\)"):
            await Gateway(busy, Console(file=io.StringIO())).run(None, demo=False)

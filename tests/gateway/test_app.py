import asyncio
from contextlib import AsyncExitStack

import httpx
import pytest

from gateway import app
from gateway.config import Config
from gateway.core.errors import SetupError
from gateway.frontends.server import bind
from gateway.policies.observe import Observe
from gateway.upstreams.fake import FakeUpstream
from tests.gateway.conftest import FakeGateway


def test_the_chain_is_in_its_order(config: Config) -> None:
    assert [type(policy) for policy in app.policies(config)] == [Observe]


async def test_both_protocols_share_one_configuration(fake_gateway: FakeGateway) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"http://{fake_gateway.http}/v2")).json()["name"] == "echo"
    assert fake_gateway.grpc.startswith("127.0.0.1:")


async def test_what_is_started_ends_with_its_stack(config: Config) -> None:
    upstream = FakeUpstream()
    async with AsyncExitStack() as stack:
        addresses = await app.start_data(config, upstream, upstream, stack)
    for address in addresses.values():
        host, _, port = address.rpartition(":")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(host, int(port))


async def test_a_port_in_use_is_named_and_nothing_is_left(config: Config) -> None:
    with bind("127.0.0.1", 0, "http.port") as taken:
        port = taken.getsockname()[1]
        busy = config.model_copy(update={"http": config.http.model_copy(update={"port": port})})
        async with AsyncExitStack() as stack:
            with pytest.raises(SetupError, match=rf"port {port} \(http.port\)"):
                await app.start_data(busy, FakeUpstream(), FakeUpstream(), stack)


def test_a_processes_coroutine_runs_on_uvloop() -> None:
    loops: list[str] = []

    async def main() -> None:
        loops.append(type(asyncio.get_running_loop()).__module__)

    app.run(main)
    assert loops == ["uvloop"]

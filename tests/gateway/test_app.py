import asyncio
import contextlib
import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest

from gateway import app
from gateway.app import DataPlane
from gateway.config import Config, UpstreamSection
from gateway.core.errors import SetupError
from gateway.policies.load_by_grpc import LoadByGrpc
from gateway.policies.measure import Measure
from gateway.policies.mirror import Mirror
from gateway.policies.observe import Observe
from gateway.policies.record import Record
from gateway.policies.restrict import Restrict
from gateway.policies.route import Route
from gateway.policies.rules import Rules
from gateway.sockets import bind
from gateway.tap.base import ClosedTap
from gateway.tap.fake import FakeTap
from gateway.traffic.sequences import Sequences
from gateway.traffic.snapshot import Override, Snapshot
from gateway.upstreams.fake import FakeUpstream
from gateway.upstreams.fake_triton import FakeTriton
from tests.gateway.conftest import FakeGateway

MODEL_INFER = "/inference.GRPCInferenceService/ModelInfer"
BODY = {"inputs": [{"name": "IN", "shape": [1], "datatype": "INT32", "data": [1]}]}


def test_the_chain_is_in_its_order(config: Config, tmp_path: Path) -> None:
    route = {
        "model": "public",
        "targets": [{"model": "echo"}],
        "mirrors": [{"model": "echo"}],
        "policies": {"timeout_seconds": 1},
    }
    everything = changed(config, recording={"folder": str(tmp_path)}, traffic={"routes": [route]})
    chain = [type(policy) for policy in app.policies(everything, Snapshot(), lasting())]
    assert chain == [Observe, Restrict, LoadByGrpc, Route, Rules, Measure, Record, Mirror]


def test_what_is_switched_off_costs_nothing(config: Config) -> None:
    chain = [type(policy) for policy in app.policies(config, Snapshot(), lasting())]
    assert chain == [Observe, Restrict, LoadByGrpc]


def test_an_alias_alone_needs_a_table(config: Config) -> None:
    said = app.policies(config, Snapshot(aliases={"stable": "echo/1"}), lasting())
    assert [type(policy) for policy in said] == [Observe, Restrict, LoadByGrpc, Route]


def lasting() -> app.Lasting:
    return app.Lasting(ClosedTap(), Sequences(60))


async def test_both_protocols_share_one_configuration(fake_gateway: FakeGateway) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"http://{fake_gateway.http}/v2")).json()["name"] == "echo"
    assert fake_gateway.grpc.startswith("127.0.0.1:")


async def test_what_is_started_ends_with_its_stack(config: Config) -> None:
    upstream = FakeUpstream()
    async with AsyncExitStack() as stack:
        addresses = await app.start_data(config, stack, upstream)
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
                await app.start_data(busy, stack, FakeUpstream())


async def infer(client: httpx.AsyncClient, plane: DataPlane, body: Any = BODY) -> httpx.Response:
    return await client.post(f"http://{plane.addresses['http']}/v2/models/echo/infer", content=json.dumps(body))


def changed(config: Config, **sections: dict[str, Any]) -> Config:
    said = {name: getattr(config, name).model_dump() | values for name, values in sections.items()}
    return Config.model_validate(config.model_dump() | said)


def split(stable: float) -> dict[str, Any]:
    targets = [
        {"name": "stable", "model": "echo", "version": 1, "weight": stable},
        {"name": "next", "model": "echo", "weight": 100 - stable},
    ]
    return {"routes": [{"model": "public", "targets": targets}]}


class TestAnotherConfiguration:
    async def test_holds_for_requests_that_come_after_it(self, config: Config) -> None:
        index = "/v2/repository/index"
        async with DataPlane(config, FakeUpstream()) as plane, httpx.AsyncClient(trust_env=False) as client:
            address = f"http://{plane.addresses['http']}"
            assert (await client.post(address + index)).status_code == 200
            assert (await infer(client, plane)).status_code == 200
            await plane.apply(changed(config, admin={"repository_index": False}, http={"max_body_bytes": 10}))
            assert (await client.post(address + index)).status_code == 403
            assert (await infer(client, plane)).status_code == 413

    async def test_leaves_requests_that_have_begun_alone(self, config: Config) -> None:
        upstream = FakeUpstream()
        async with DataPlane(config, upstream) as plane, httpx.AsyncClient(trust_env=False) as client:
            upstream.gate.clear()
            request = asyncio.create_task(infer(client, plane))
            while not upstream.calls:
                await asyncio.sleep(0.005)
            await plane.apply(changed(config, http={"max_body_bytes": 10}))
            upstream.gate.set()
            assert (await request).status_code == 200

    async def test_starts_and_ends_recording(self, config: Config, tmp_path: Path) -> None:
        tap = FakeTap()
        async with DataPlane(config, FakeUpstream(), tap=tap) as plane, httpx.AsyncClient(trust_env=False) as client:
            await infer(client, plane)
            await plane.apply(changed(config, recording={"folder": str(tmp_path), "every": 1}))
            await infer(client, plane)
            await infer(client, plane)
            await plane.apply(config)
            await infer(client, plane)
        assert [exchange.purpose for exchange in tap.offered] == ["record", "record"]

    async def test_of_the_weights_drops_nothing_of_what_is_under_way(self, config: Config) -> None:
        upstream, asked, statuses = FakeUpstream(), 400, []

        async def ask(client: httpx.AsyncClient, plane: DataPlane, count: int) -> None:
            for _ in range(count):
                reply = await client.post(f"http://{plane.addresses['http']}/v2/models/public/infer", json=BODY)
                statuses.append(reply.status_code)

        first = changed(config, traffic=split(100))
        async with DataPlane(first, upstream) as plane, httpx.AsyncClient(trust_env=False) as client:
            clients = [asyncio.create_task(ask(client, plane, asked // 8)) for _ in range(8)]
            turn = 0
            while not all(task.done() for task in clients):
                turn += 1
                if turn % 2:
                    await plane.apply(changed(config, traffic=split(50 if turn % 4 == 1 else 0)))
                else:
                    route = changed(config, traffic=split(50)).traffic.routes[0]
                    override = Override(route.digest, {"stable": float(turn % 100), "next": float(100 - turn % 100)})
                    await plane.apply(changed(config, traffic=split(50)), Snapshot(turn, {"public": override}))
                await asyncio.sleep(0)
            await asyncio.gather(*clients)
            counted = plane.status()["traffic"]["routes"]["public"]["variants"]
        assert statuses == [200] * asked
        assert len([call for call in upstream.calls if call.model == "echo"]) == asked
        assert {call.version for call in upstream.calls} == {"1", ""}
        assert sum(each["ok"] for each in counted.values()) == asked

    async def test_brings_other_tritons_and_keeps_what_is_in_flight(self, config: Config) -> None:
        async with FakeTriton() as old, FakeTriton() as new:
            first = config.model_copy(update={"upstreams": (section(old),)})
            async with DataPlane(first) as plane, httpx.AsyncClient(trust_env=False) as client:
                old.upstream.gate.clear()
                request = asyncio.create_task(infer(client, plane))
                while not any(call.model for call in old.upstream.calls):
                    await asyncio.sleep(0.005)
                await plane.apply(first.model_copy(update={"upstreams": (section(new),)}))
                assert [each["name"] for each in plane.status()["upstreams"]] == [new.http]
                assert (await infer(client, plane)).status_code == 200
                assert any(call.model for call in new.upstream.calls)
                old.upstream.gate.set()
                assert (await request).status_code == 200

    async def test_that_says_the_same_of_a_triton_keeps_its_connections(self, config: Config) -> None:
        async with FakeTriton() as triton:
            first = config.model_copy(update={"upstreams": (section(triton),)})
            async with DataPlane(first) as plane, httpx.AsyncClient(trust_env=False) as client:
                assert (await infer(client, plane)).status_code == 200
                before = triton.connections
                await plane.apply(changed(first, limits={"deadline_seconds": 3}, admin={"repository": True}))
                assert (await infer(client, plane)).status_code == 200
                assert triton.connections == before


class TestTheEnd:
    async def test_waits_for_what_is_in_flight(self, config: Config) -> None:
        upstream = FakeUpstream()
        async with httpx.AsyncClient(trust_env=False) as client:
            async with DataPlane(config, upstream) as plane:
                upstream.gate.clear()
                request = asyncio.create_task(infer(client, plane))
                while not upstream.calls:
                    await asyncio.sleep(0.005)
                asyncio.get_running_loop().call_later(0.2, upstream.gate.set)
            assert (await request).status_code == 200

    async def test_under_load_fails_no_request_of_a_connection_that_is_open(self, config: Config) -> None:
        statuses: list[int | grpc.StatusCode] = []

        async def over_http(plane: DataPlane) -> None:
            async with httpx.AsyncClient(trust_env=False) as client:
                with contextlib.suppress(httpx.ConnectError):  # the port is closed: this client is done
                    while True:
                        statuses.append((await infer(client, plane)).status_code)

        async def over_grpc(plane: DataPlane) -> None:
            async with grpc.aio.insecure_channel(plane.addresses["grpc"]) as channel:
                call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(MODEL_INFER)
                while channel.get_state() is not grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                    try:
                        await call(b"\x0a\x04echo", timeout=10)
                        statuses.append(200)
                    except grpc.aio.AioRpcError as error:
                        if "Failed to connect" in (error.details() or ""):
                            break
                        statuses.append(error.code())

        async with DataPlane(config, FakeUpstream()) as plane:
            callers = [asyncio.create_task(over_http(plane)) for _ in range(4)]
            callers += [asyncio.create_task(over_grpc(plane)) for _ in range(2)]
            while len(statuses) < 50:
                await asyncio.sleep(0.005)
        async with asyncio.timeout(20):
            await asyncio.gather(*callers)
        assert set(statuses) == {200}

    async def test_is_announced_by_readiness_while_requests_are_still_taken(self, config: Config) -> None:
        patient = changed(config, limits={"drain_delay_seconds": 0.5})
        async with httpx.AsyncClient(trust_env=False) as client:
            plane = await DataPlane(patient, FakeUpstream()).__aenter__()
            ready = f"http://{plane.addresses['http']}/v2/health/ready"
            assert (await client.get(ready)).status_code == 200
            stopping = asyncio.create_task(plane.__aexit__())
            while (await client.get(ready)).status_code == 200:
                assert not stopping.done()
            assert (await infer(client, plane)).status_code == 200
            await stopping
            with pytest.raises(httpx.ConnectError):
                await client.get(ready)


def section(triton: FakeTriton) -> UpstreamSection:
    return UpstreamSection(http=triton.http, grpc=triton.grpc)

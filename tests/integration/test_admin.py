"""Models that clients load and unload through the gateway, while the embedded Triton is supervised: nobody fights."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.app import start_data
from gateway.config import UpstreamSection, load
from gateway.triton.status import Event, EventKind, ModelState
from gateway.triton.stubs import Stub, find
from gateway.triton.supervise import EmbeddedTriton

from .conftest import EmbeddedTritonFactory

pytestmark = pytest.mark.integration

MODEL = """
import triton_python_backend_utils as pb
class TritonPythonModel:
    def execute(self, requests):
        return [
            pb.InferenceResponse([pb.Tensor("Y", pb.get_input_tensor_by_name(request, "X").as_numpy() * 2)])
            for request in requests
        ]
"""
CONFIG: dict[str, Any] = {
    "backend": "python",
    "input": [{"name": "X", "data_type": "TYPE_FP32", "dims": [-1]}],
    "output": [{"name": "Y", "data_type": "TYPE_FP32", "dims": [-1]}],
}
BODY = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1], "data": [21]}]}


@dataclass
class Stage:
    """A gateway whose clients may load and unload, over a supervised Triton that is to serve `add` and `mul`."""

    triton: EmbeddedTriton
    client: httpx.AsyncClient
    events: list[Event] = field(default_factory=list)

    async def ask(self, what: str, model: str, **body: Any) -> httpx.Response:
        reply = await self.client.post(f"/v2/repository/models/{model}/{what}", json=body)
        assert reply.status_code == 200, reply.text
        return reply

    async def infer(self, model: str) -> int:
        return (await self.client.post(f"/v2/models/{model}/infer", json=BODY)).status_code

    def state(self, model: str) -> ModelState:
        return self.triton.status().models[model].state

    def kinds(self, model: str) -> list[EventKind]:
        return [event.kind for event in self.events if event.model == model]

    def processes(self, model: str) -> list[Stub]:
        pid = self.triton.status().pid
        assert pid is not None
        return [stub for stub in find(pid, self.triton._runtime.models) if stub.model == model]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
async def stage(embedded_triton: EmbeddedTritonFactory, tmp_path: Path) -> AsyncIterator[Stage]:
    repository = tmp_path / "repository"
    for model in ("add", "mul"):
        (repository / model / "1").mkdir(parents=True)
        (repository / model / "1" / "model.py").write_text(MODEL)
        (repository / model / "config.pbtxt").write_text(
            'backend: "python" input [{name: "X" data_type: TYPE_FP32 dims: [-1]}] '
            'output [{name: "Y" data_type: TYPE_FP32 dims: [-1]}] instance_group [{count: 2 kind: KIND_CPU}]'
        )
    events: list[Event] = []
    async with embedded_triton(repository, ["add", "mul"], events.append) as triton, AsyncExitStack() as stack:
        config = load(
            None, ("http={host: 127.0.0.1, port: 0}", "grpc={host: 127.0.0.1, port: 0}", "admin.repository=true")
        ).model_copy(update={"upstreams": (UpstreamSection(http=triton.http_address, grpc=triton.grpc_address),)})
        addresses = await start_data(config, stack)
        client = httpx.AsyncClient(base_url=f"http://{addresses['http']}", trust_env=False, timeout=30)
        yield Stage(triton, await stack.enter_async_context(client), events)


async def test_a_model_that_a_client_unloads_stays_so_until_it_is_loaded_again(stage: Stage) -> None:
    assert await stage.infer("add") == 200
    await stage.ask("unload", "add")
    await until(lambda: stage.state("add") is ModelState.UNLOADED)
    assert stage.processes("add") == []
    assert await stage.infer("add") != 200
    assert await stage.infer("mul") == 200

    await stage.ask("load", "add")
    await until(lambda: stage.state("add") is ModelState.READY)
    assert await stage.infer("add") == 200
    assert stage.kinds("add")[-2:] == [EventKind.MODEL_UNLOADED, EventKind.MODEL_READY]
    assert stage.triton.status().heals == 0


async def test_a_process_that_dies_is_still_healed_after_a_client_s_load(stage: Stage) -> None:
    await stage.ask("unload", "add")
    await until(lambda: stage.state("add") is ModelState.UNLOADED)
    await stage.ask("load", "add")
    await until(lambda: stage.state("add") is ModelState.READY)
    os.kill(stage.processes("add")[0].pid, signal.SIGKILL)
    await until(lambda: stage.triton.status().heals == 1)
    assert await stage.infer("add") == 200
    await until(lambda: len(stage.processes("add")) == 2)  # the old instances may still be ending


@pytest.mark.parametrize("count", [1, 3])
async def test_a_client_that_loads_with_other_instances_is_not_fought(stage: Stage, count: int) -> None:
    before = {stub.pid for stub in stage.processes("add")}
    assert len(before) == 2
    instances = [{"count": count, "kind": "KIND_CPU"}]
    await stage.ask("load", "add", parameters={"config": json.dumps(CONFIG | {"instance_group": instances})})
    await until(lambda: len(stage.processes("add")) == count)
    # The next one that really dies shows that the supervisor has looked at those that ended before.
    os.kill(stage.processes("mul")[0].pid, signal.SIGKILL)
    await until(lambda: stage.triton.status().heals == 1)
    assert EventKind.MODEL_HEALING not in stage.kinds("add")
    assert len(stage.processes("add")) == count
    assert await stage.infer("add") == 200


async def test_a_model_that_only_a_client_wants_is_left_to_it(stage: Stage) -> None:
    code = base64.b64encode(MODEL.encode()).decode()
    await stage.ask("load", "theirs", parameters={"config": json.dumps(CONFIG), "file:1/model.py": code})
    assert await stage.infer("theirs") == 200
    await stage.triton.serve(["add"])  # a change of what is desired unloads what was, and no more
    assert await stage.infer("theirs") == 200
    assert await stage.infer("mul") != 200
    assert "theirs" not in stage.triton.status().models
    await stage.ask("unload", "theirs")

"""Models are added, updated, rolled back and removed while clients call: no request fails."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import pytest
import tritonclient.grpc.aio as grpc_client
from tritonclient.utils import InferenceServerException

from .running import INPUTS, Running, plus, running

pytestmark = pytest.mark.integration

CLIENTS = 50
STEADY = 100.0


@dataclass
class Callers:
    """Clients that call two models over both protocols, and what they saw.

    Attributes:
        published: what each model may answer by now.
        seen: how often each model answered what.
        failures: what should not have been.
    """

    gateway: Running
    think_seconds: float
    published: dict[str, set[float]] = field(default_factory=lambda: {"steady": {STEADY}, "moving": set()})
    seen: Counter[tuple[str, float]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    async def call_on_and_on(self, number: int) -> None:
        """Call until cancelled; one half of the clients each model, and each protocol."""
        model = ("steady", "moving")[number % 2]
        if number % 4 < 2:
            async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
                await self._repeat(model, lambda: self._http(client, model))
        else:
            async with grpc_client.InferenceServerClient(self.gateway.address("gRPC")) as client:
                await self._repeat(model, lambda: _grpc(client, model))

    async def _repeat(self, model: str, call: Callable[[], Awaitable[float]]) -> None:
        while True:
            try:
                answer = await call()
            except (httpx.HTTPError, InferenceServerException, AssertionError) as error:
                self.failures.append(f"{model}: {error!r}")
            else:
                self.seen[model, answer] += 1
                if answer not in self.published[model]:
                    self.failures.append(f"{model}: answered {answer}, which is no version of it")
            await asyncio.sleep(self.think_seconds * random.random() * 2)  # noqa: S311 - so that they don't go in step

    async def _http(self, client: httpx.AsyncClient, model: str) -> float:
        address = f"http://{self.gateway.address('HTTP')}/v2/models/{model}/infer"
        reply = await client.post(address, json={"inputs": INPUTS})
        assert reply.status_code == 200, reply.text
        return float(reply.json()["outputs"][0]["data"][0]) - 1.0


async def _grpc(client: grpc_client.InferenceServerClient, model: str) -> float:
    tensor = grpc_client.InferInput("x", [1, 2], "FP32")
    tensor.set_data_from_numpy(np.array([[1, 2]], np.float32))
    answer = await client.infer(model, [tensor])
    return float(answer.as_numpy("y")[0, 0]) - 1.0


async def change_everything(gateway: Running, callers: Callers, version: int) -> None:
    """Publish a version, add a model, roll back, remove the model, and go forward again."""
    store, other = gateway.store(), f"other{version}"
    callers.published["moving"].add(float(version))
    gateway.drop("moving", plus(version))
    gateway.drop(other, plus(version))
    await gateway.until_served("moving", version)
    await gateway.until_served(other, 1)
    assert await gateway.answer(other) == float(version)
    earlier = await asyncio.to_thread(store.rollback, "moving")
    await gateway.until_served("moving", earlier)
    await asyncio.to_thread(store.remove, other)
    await gateway.until_model(other, 30, lambda model: not model)
    await gateway.until_gone(other)
    await asyncio.to_thread(store.rollback, "moving", version)
    await gateway.until_served("moving", version)


async def churn(repository: Path, rounds: int, think_seconds: float) -> Counter[tuple[str, float]]:
    """What clients saw while everything changed so many times."""
    async with running(repository) as gateway:
        callers = Callers(gateway, think_seconds)
        gateway.drop("steady", plus(STEADY))
        gateway.drop("moving", plus(1))
        callers.published["moving"].add(1.0)
        await gateway.until_served("steady", 1)
        await gateway.until_served("moving", 1)
        tasks = [asyncio.create_task(callers.call_on_and_on(number)) for number in range(CLIENTS)]
        try:
            for version in range(2, 2 + rounds):
                await change_everything(gateway, callers, version)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    assert callers.failures == []
    return callers.seen


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """An empty model repository."""
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


async def test_no_request_fails_while_models_come_change_and_go(repository: Path) -> None:
    seen = await churn(repository, 1, think_seconds=0.1)
    assert {answer for model, answer in seen if model == "moving"} == {1.0, 2.0}
    assert min(seen.values()) > CLIENTS


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_no_request_fails_for_long_and_without_a_pause(repository: Path) -> None:
    seen = await churn(repository, 20, think_seconds=0.0)
    assert {answer for model, answer in seen if model == "moving"} == {float(version) for version in range(1, 22)}

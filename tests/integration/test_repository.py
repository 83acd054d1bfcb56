"""The repository with the real Triton: what cannot be served disturbs nothing, and external Tritons are filled."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.repository import inbox
from gateway.triton.supervise import EmbeddedTriton

from .conftest import EmbeddedTritonFactory
from .running import Running, running

pytestmark = pytest.mark.integration

CONFIG = """
backend: "python"
max_batch_size: 0
input [{name: "x" data_type: TYPE_FP32 dims: [1, 2]}]
output [{name: "y" data_type: TYPE_FP32 dims: [1, 2]}]
"""
MODEL = """
import sys
import triton_python_backend_utils as pb

IN_TRITON = not any(name.startswith("gateway.") for name in sys.modules)

class TritonPythonModel:
    def initialize(self, args):
        AT_START

    def execute(self, requests):
        AT_WORK
        inputs = [pb.get_input_tensor_by_name(request, "x").as_numpy() for request in requests]
        return [pb.InferenceResponse([pb.Tensor("y", x + NUMBER)]) for x in inputs]
"""
NOTHING = "pass"


def fill(folder: Path, number: int, at_start: str = NOTHING, at_work: str = NOTHING) -> Path:
    """A Python model that adds a number, with more for it to do at two places."""
    folder.mkdir(parents=True)
    code = MODEL.replace("NUMBER", str(number)).replace("AT_START", at_start).replace("AT_WORK", at_work)
    (folder / "model.py").write_text(code)
    return folder


def by_hand(repository: Path, name: str, number: int, at_start: str = NOTHING) -> None:
    """A complete model folder, as somebody who knows Triton makes it; it appears at once."""
    made = repository / f".{name}"
    fill(made / "1", number, at_start)
    (made / "config.pbtxt").write_text(CONFIG)
    made.rename(repository / name)


def fails(message: str) -> str:
    """Code that raises in Triton, and not in the sandbox."""
    return f"if IN_TRITON: raise ValueError({message!r})"


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Running]:
    repository = tmp_path / "models"
    repository.mkdir()
    async with running(repository) as gateway:
        yield gateway


async def test_what_cannot_be_served_is_told_and_disturbs_nothing(gateway: Running, tmp_path: Path) -> None:
    assert (await gateway.client.get(f"http://{gateway.address('HTTP')}/v2/health/ready")).status_code == 200

    def publish(name: str, **code: Any) -> None:
        source = fill(tmp_path / name, **code)
        (source / "config.pbtxt").write_text(CONFIG)
        inbox.put(gateway.repository, "moving", source)

    async def is_refused(reason: str) -> None:
        refused = await gateway.until_model("moving", 30, lambda model: model["state"] == "refused")
        assert reason in refused["reason"]
        assert refused["sites"]["embedded"]["versions"] == [1]
        assert await gateway.answer("moving") == 1.0
        inbox.take_back(gateway.repository / ".triton-gateway" / "inbox" / "moving")
        await gateway.until_model("moving", 30, lambda model: model["state"] == "ready")

    by_hand(gateway.repository, "broken", 1, at_start="raise ValueError('its weights are lost')")
    publish("good", number=1)
    await gateway.until_served("moving", 1)
    publish("not loading", number=2, at_start=fails("no such device"))
    await is_refused("no such device")
    publish("not answering", number=3, at_work=fails("no such table"))
    await is_refused("no such table")
    publish("better", number=4)
    await gateway.until_served("moving", 2)
    assert await gateway.answer("moving") == 4.0

    broken = await gateway.until_model("broken", 30, lambda model: model["sites"]["embedded"]["tries"] >= 2)
    assert (broken["state"], broken["reason"]) == ("failed", "ValueError: its weights are lost")
    assert broken["sites"]["embedded"]["next_try"] is not None

    (gateway.repository / "moving" / "2" / "model.py").write_text("import os")
    tampered = await gateway.until_model("moving", 30, lambda model: model["state"] != "ready")
    assert (tampered["state"], "not those that were published" in tampered["reason"]) == ("refused", True)
    assert await gateway.answer("moving") == 4.0


async def test_a_repository_that_becomes_empty_is_served_on(gateway: Running) -> None:
    by_hand(gateway.repository, "only", 1)
    await gateway.until_served("only", 1)
    gateway.store().remove("only")
    await gateway.until_model("only", 30, lambda model: not model)
    by_hand(gateway.repository, "next", 2)
    await gateway.until_served("next", 1)
    assert await gateway.answer("next") == 2.0
    index = await gateway.client.post(f"http://{gateway.address('HTTP')}/v2/repository/index")
    assert [row["name"] for row in index.json()] == ["next"]


async def ready_at(triton: EmbeddedTriton) -> set[str]:
    """The models that a Triton has ready, asked directly."""
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        try:
            reply = await client.post(f"http://{triton.http_address}/v2/repository/index", json={"ready": True})
        except httpx.TransportError:
            return set()
    return {row["name"] for row in reply.json()} if reply.status_code == 200 else set()


async def until_ready_at(tritons: dict[str, EmbeddedTriton], **models: set[str]) -> None:
    async with asyncio.timeout(30):
        while {name: await ready_at(triton) for name, triton in tritons.items()} != models:
            await asyncio.sleep(0.1)


async def until_known(gateway: Running, model: str) -> None:
    """The gateway asks each Triton once a second what it has; until then it asks anyone, who may not have the model."""
    async with asyncio.timeout(10):
        row = 0
        while row < 20:
            row = row + 1 if (await gateway.infer(model)).status_code == 200 else 0
            await asyncio.sleep(0.01)


def share(repository: Path, triton: EmbeddedTriton) -> None:
    """Have a Triton that serves nothing look at this folder, as an external one does."""
    models = triton._runtime.models
    models.rmdir()
    models.symlink_to(repository)


async def test_external_tritons_are_filled_by_rules_and_filled_again(
    embedded_triton: EmbeddedTritonFactory, tmp_path: Path
) -> None:
    repository = tmp_path / "models"
    repository.mkdir()
    by_hand(repository, "ocr-latin", 1)
    by_hand(repository, "sums", 2)
    async with AsyncExitStack() as stack:
        tritons = {name: await stack.enter_async_context(embedded_triton(repository, [])) for name in ("one", "two")}
        for triton in tritons.values():
            share(repository, triton)
        listed = ", ".join(
            f"{{name: {n}, http: '{t.http_address}', grpc: '{t.grpc_address}'}}" for n, t in tritons.items()
        )
        settings = (
            f"upstreams=[{listed}]",
            "repository.fill_upstreams=true",
            "repository.placement=[{models: 'ocr-*', upstreams: [two]}]",
        )
        gateway = await stack.enter_async_context(running(repository, *settings))
        await until_ready_at(tritons, one={"sums"}, two={"sums", "ocr-latin"})
        await until_known(gateway, "ocr-latin")
        assert await gateway.answer("ocr-latin") == 1.0

        pid = tritons["two"].status().pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until_ready_at(tritons, one={"sums"}, two=set())
        await until_ready_at(tritons, one={"sums"}, two={"sums", "ocr-latin"})

        by_hand(repository, "ocr-greek", 3)
        shutil.rmtree(repository / "sums")
        await until_ready_at(tritons, one=set(), two={"ocr-latin", "ocr-greek"})
        await gateway.until_gone("sums")  # also where no index shows it any more, because its folder is gone
        await until_known(gateway, "ocr-greek")
        assert await gateway.answer("ocr-greek") == 3.0

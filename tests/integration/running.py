"""A gateway as a process of its own over a repository folder, and tiny ONNX models to drop there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from onnx import TensorProto, helper, numpy_helper

from gateway.repository.store import Store
from tests.gateway.triton.conftest import is_alive

INPUTS = [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1.0, 2.0]}]


def plus(number: float) -> bytes:
    """An ONNX model that adds a number; which one it is shows in its answers."""
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2]) for name in ("x", "y")]
    constant = numpy_helper.from_array(np.array([number], np.float32), "n")
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "n"], ["y"])], "plus", tensors[:1], tensors[1:], [constant]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


class Running:
    """A running `triton-gateway up`.

    Attributes:
        process: the launcher.
        repository: the folder that it serves.
    """

    def __init__(self, process: asyncio.subprocess.Process, repository: Path, log: Path) -> None:
        self.process, self.repository, self._log = process, repository, log
        self.client = httpx.AsyncClient(trust_env=False, timeout=60)

    @property
    def output(self) -> str:
        """All that it has printed so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def address(self, name: str) -> str:
        """The "localhost:PORT" of "HTTP", "gRPC" or "control"."""
        found = re.search(rf"{name} +(?:http://)?(localhost:\d+)", self.output)
        assert found, self.output
        return found[1]

    async def until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait until something is so, or the gateway has ended."""
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    assert self.process.returncode is None, self.output
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"not within {seconds:g} s: {what}\n{self.output}") from None

    async def status(self) -> dict[str, Any]:
        """What the control API says of the whole gateway."""
        status: dict[str, Any] = (await self.client.get(f"http://{self.address('control')}/v1/status")).json()
        return status

    async def models(self) -> dict[str, Any]:
        """What the status says of each model."""
        repository = (await self.status())["repository"] or {"models": {}}
        found: dict[str, Any] = repository["models"]
        return found

    async def until_model(self, name: str, seconds: float, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until the status of a model is as wanted; `{}` is the status of one that is not there."""
        seen: dict[str, Any] = {}
        try:
            async with asyncio.timeout(seconds):
                while True:
                    with contextlib.suppress(httpx.TransportError):
                        seen = (await self.models()).get(name, {})
                        if is_so(seen):
                            return seen
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{name} after {seconds:g} s: {seen}\n{self.output}") from None

    async def until_served(self, name: str, version: int, seconds: float = 30) -> None:
        """Wait until Triton serves exactly this version."""
        await self.until_model(
            name, seconds, lambda model: [site["versions"] for site in model.get("sites", {}).values()] == [[version]]
        )

    def drop(self, name: str, content: bytes) -> None:
        """Put a model file into the folder, as `cp` does."""
        (self.repository / f"{name}.onnx").write_bytes(content)

    def store(self) -> Store:
        """Changes the folder as the command line does."""
        return Store(self.repository)

    async def infer(self, model: str) -> httpx.Response:
        """One inference over HTTP, without a version."""
        return await self.client.post(f"http://{self.address('HTTP')}/v2/models/{model}/infer", json={"inputs": INPUTS})

    async def until_gone(self, model: str) -> None:
        """Wait until a model that was removed answers no more, which is a moment after nobody wants it any more."""
        async with asyncio.timeout(20):
            while (reply := await self.infer(model)).status_code == 200:
                await asyncio.sleep(0.05)
        assert reply.status_code in (400, 404), reply.text

    async def answer(self, model: str) -> float:
        """What a model of `plus` adds."""
        reply = await self.infer(model)
        assert reply.status_code == 200, reply.text
        return float(reply.json()["outputs"][0]["data"][0]) - 1.0

    def below(self) -> dict[int, str]:
        """Every process below the launcher, with its command line."""
        found, queue = dict[int, str](), [self.process.pid]
        while queue:
            pid = queue.pop()
            with contextlib.suppress(OSError):
                found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                queue += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return found

    async def kill(self) -> None:
        """End the launcher without a word, and wait until nothing of it is left."""
        owned = self.below()
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        async with asyncio.timeout(20):
            while any(map(is_alive, owned)):
                await asyncio.sleep(0.02)


@asynccontextmanager
async def running(
    repository: Path, *settings: str, seconds: float = 60, file: Path | None = None
) -> AsyncIterator[Running]:
    """Run a gateway on free ports until the block ends.

    Args:
        repository: the folder to serve.
        settings: more of the configuration, as `--set` takes it.
        seconds: how long it may take until it serves.
        file: the configuration that it follows.
    """
    ports = [f"{name}=0" for name in ("http.port", "grpc.port", "control.port")]
    ports += [f"triton.{name}_port=0" for name in ("http", "grpc", "metrics")]
    log = repository.parent / f"{repository.name}-gateway.log"
    ports.append("repository.settle_seconds=0.3")  # nobody copies slowly here
    values = [*ports, f"repository.path={repository}", f"triton.log_file={log}.triton", *settings]
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.cli", "up", "--no-demo"),
            *(argument for value in values for argument in ("--set", value)),
            *(("--config", str(file)) if file else ()),
            cwd=repository.parent,
            env=os.environ | {"PYTHONUNBUFFERED": "1", "COLUMNS": "200"},
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    gateway = Running(process, repository, log)
    try:
        await gateway.until(lambda: "Serving" in gateway.output, seconds, "Serving")
        yield gateway
    finally:
        await gateway.client.aclose()
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(20):
                await process.wait()
        except TimeoutError:
            await gateway.kill()

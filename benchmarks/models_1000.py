"""Part "models": what a thousand models in the repository cost, beside what Triton alone takes to load them.

All but one are ensembles over the one that is not: they are real models that Triton loads, and need no process each.
"""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from benchmarks.context import Context
from benchmarks.service import Service, free_ports
from gateway.assets import asset
from gateway.config import TritonSection
from gateway.triton.fetch import default_cache_dir, ensure_triton
from gateway.triton.supervise import EmbeddedTriton

_COUNT = 1000
_AT_ONCE = 4  # loads at a time, which is Triton's own default at the start
_WAIT_SECONDS = 300.0
_LOOK_SECONDS = 0.02
_TENSORS = """max_batch_size: 0
input [{ name: "X" data_type: TYPE_FP32 dims: [ -1 ] }]
output [{ name: "Y" data_type: TYPE_FP32 dims: [ -1 ] }]
"""
_IDENTITY = """
import triton_python_backend_utils as pb

class TritonPythonModel:
    def execute(self, requests):
        inputs = [pb.get_input_tensor_by_name(request, "X").as_numpy() for request in requests]
        return [pb.InferenceResponse([pb.Tensor("Y", x)]) for x in inputs]
"""
_ENSEMBLE = f"""platform: "ensemble"
{_TENSORS}ensemble_scheduling {{ step [{{ model_name: "identity" model_version: -1
  input_map {{ key: "X" value: "X" }} output_map {{ key: "Y" value: "Y" }} }}] }}
"""


def run(context: Context) -> dict[str, Any]:
    """Time the start, the index and one change each, with Triton alone and with the gateway."""
    count = 100 if context.quick else _COUNT
    context.progress.begin(f"{count} models", 2 * context.rounds)
    taken: dict[str, list[dict[str, float]]] = {"triton": [], "gateway": []}
    for round_number in range(context.rounds):
        for engine, measure in (("triton", measure_triton), ("gateway", measure_gateway)):
            repository = context.scratch / f"models-{engine}-{round_number}" / "models"
            fill(repository, count)
            taken[engine].append(asyncio.run(measure(repository)))
            told = ", ".join(f"{what} {seconds:.2f} s" for what, seconds in taken[engine][-1].items())
            context.progress.step(f"{engine}: {told}")
    return {"count": count, "rows": [{"engine": engine, **medians(rounds)} for engine, rounds in taken.items()]}


def medians(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of each figure."""
    return {what: statistics.median(each[what] for each in rounds) for what in rounds[0]}


def fill(repository: Path, count: int) -> None:
    """Make a repository of so many models, one of them the identity that all others are made of."""
    (repository / "identity" / "1").mkdir(parents=True)
    (repository / "identity" / "1" / "model.py").write_text(_IDENTITY)
    (repository / "identity" / "config.pbtxt").write_text(f'backend: "python"\n{_TENSORS}')
    for number in range(1, count):
        write(repository, f"model-{number:04d}")


def write(repository: Path, name: str, more: str = "") -> None:
    """Make one of the ensembles, or change it."""
    (repository / name / "1").mkdir(parents=True, exist_ok=True)
    (repository / name / "config.pbtxt").write_text(_ENSEMBLE + more)


async def measure_triton(repository: Path) -> dict[str, float]:
    """What Triton alone takes, in seconds, asked over its control API."""
    install = ensure_triton(default_cache_dir(os.environ), Console())
    section = TritonSection(http_port=0, grpc_port=0, metrics_port=0, log_file=repository.parent / "triton.log")
    names = sorted(os.listdir(repository))  # noqa: PTH208 - names alone
    async with (
        EmbeddedTriton(section, install, repository, asset("backends"), {}, lambda _: None) as triton,
        httpx.AsyncClient(trust_env=False, timeout=_WAIT_SECONDS) as client,
    ):
        await triton.wait_ready()
        show(triton.status().pid, repository, names)

        async def post(path: str) -> None:
            (await client.post(f"http://{triton.http_address}/v2/repository/{path}")).raise_for_status()

        async def load_all() -> None:
            todo = iter(names)
            await post(f"models/{next(todo)}/load")  # the identity, which the others need

            async def load_on() -> None:
                for name in todo:
                    await post(f"models/{name}/load")

            await asyncio.gather(*[load_on() for _ in range(_AT_ONCE)])

        taken = {"start": await _timed(load_all), "index": await _timed(lambda: post("index"))}
        write(repository, names[1], "# changed\n")
        return taken | {"change": await _timed(lambda: post(f"models/{names[1]}/load"))}


def show(triton: int | None, repository: Path, names: Sequence[str]) -> None:
    """Link models into the folder that a running Triton was started with."""
    command = Path(f"/proc/{triton}/cmdline").read_text(encoding="utf-8")
    found = re.search(r"--model-repository=([^\0]+)", command)
    assert found, command  # noqa: S101 - it is always given
    for name in names:
        (Path(found[1]) / name).symlink_to(repository / name)


async def measure_gateway(repository: Path) -> dict[str, float]:
    """What the gateway with its embedded Triton takes, in seconds, as a client and an operator see it."""
    http, grpc, control, *of_triton = free_ports(6)
    values = [f"http.port={http}", f"grpc.port={grpc}", f"control.port={control}", f"repository.path={repository}"]
    values += [f"triton.{key}_port={port}" for key, port in zip(("http", "grpc", "metrics"), of_triton, strict=True)]
    values.append(f"triton.log_file={repository.parent / 'triton.log'}")
    command = [sys.executable, "-m", "gateway.cli", "up", "--no-demo"]
    command += [part for value in values for part in ("--set", value)]
    started = time.monotonic()
    with Service("gateway", command, repository.parent, http=f"127.0.0.1:{http}", env={"PYTHONUNBUFFERED": "1"}) as up:
        await asyncio.to_thread(up.wait, lambda: "Serving" in up.log.read_text(), _WAIT_SECONDS)
        taken = {"start": time.monotonic() - started}
        async with httpx.AsyncClient(trust_env=False, timeout=_WAIT_SECONDS) as client:

            async def index() -> None:
                (await client.post(f"http://{up.http}/v2/repository/index")).raise_for_status()

            async def state() -> dict[str, Any]:
                answer = await client.get(f"http://127.0.0.1:{control}/v1/status")
                found: dict[str, Any] = answer.json()["repository"]["models"]["model-0001"]["sites"]["embedded"]
                return found

            taken["index"] = await _timed(index)
            before = (await state())["fingerprint"]

            async def change() -> None:
                write(repository, "model-0001", "# changed\n")
                while (now := await state())["fingerprint"] == before or now["state"] != "ready":  # noqa: ASYNC110 - another process
                    await asyncio.sleep(_LOOK_SECONDS)

            return taken | {"change": await _timed(change)}


async def _timed(work: Callable[[], Awaitable[None]]) -> float:
    started = time.monotonic()
    await work()
    return time.monotonic() - started

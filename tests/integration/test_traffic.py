"""Traffic in front of the real embedded Triton: splits, canaries that roll themselves back, mirrors, recordings."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc.aio as grpcclient
import yaml

from .running import Running, plus, running

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

# Three versions of a model: the second gives other answers, the third the same as the first.
PLUS = {1: 1.0, 2: 2.0, 3: 1.0}
MACHINE = {"latency": {"p50": None, "p95": None, "p99": None}}  # two cores under load say nothing of a model's speed


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for version, number in PLUS.items():
        folder = tmp_path / "models" / "m" / str(version)
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(plus(number))
    return tmp_path / "models"


@asynccontextmanager
async def serving(repository: Path, routes: list[dict[str, Any]], *settings: str) -> AsyncIterator[Running]:
    """A gateway with these routes, which remembers what was decided beside its repository."""
    where = (f"traffic.state_file={repository.parent}/state.json", f"traffic.reports={repository.parent}/reports")
    said = f"traffic.routes={json.dumps(routes)}"
    async with running(repository, said, *where, *settings) as gateway:
        yield gateway


def targets(*weights: float | None, versions: tuple[int, ...] = (1, 2)) -> list[dict[str, Any]]:
    named = [{"name": f"v{version}", "model": "m", "version": version} for version in versions]
    return [
        target | ({} if weight is None else {"weight": weight}) for target, weight in zip(named, weights, strict=True)
    ]


async def control(gateway: Running, method: str, path: str, body: object = None) -> Any:
    """Ask the control API."""
    reply = await gateway.client.request(method, f"http://{gateway.address('control')}{path}", json=body)
    assert reply.status_code < 300, reply.text
    return reply.json()


async def ask(gateway: Running, model: str = "public") -> tuple[int, str]:
    """One inference: its status, and the version that answered."""
    reply = await gateway.infer(model)
    told = reply.json()
    assert told.get("model_name", model) == model, told
    return reply.status_code, told.get("model_version", "")


async def ask_until(
    gateway: Running, what: str, is_so: Callable[[], Any], model: str = "public"
) -> Counter[tuple[int, str]]:
    """Keep asking until something is so; gives how often which version answered with which status."""
    seen: Counter[tuple[int, str]] = Counter()

    async def client() -> None:
        while not done.is_set():
            seen[await ask(gateway, model)] += 1

    done = asyncio.Event()
    clients = [asyncio.create_task(client()) for _ in range(4)]
    try:
        async with asyncio.timeout(90):
            while not await is_so():
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"not in time: {what}\n{seen}\n{gateway.output}") from None
    finally:
        done.set()
        await asyncio.gather(*clients)
    return seen


async def phase(gateway: Running, route: str = "public") -> str:
    """How a canary is."""
    found: str = (await control(gateway, "GET", f"/v1/canaries/{route}"))["phase"]
    return found


async def test_a_split_holds_over_both_protocols_and_the_reply_names_the_public_model(repository: Path) -> None:
    async with serving(repository, [{"model": "public", "targets": targets(50, 50)}]) as gateway:
        over_http = Counter([await ask(gateway) for _ in range(200)])
        assert set(over_http) == {(200, "1"), (200, "2")}
        assert 60 <= over_http[200, "1"] <= 140  # 5.6 standard deviations

        value = grpcclient.InferInput("x", [1, 2], "FP32")
        value.set_data_from_numpy(np.array([[1.0, 2.0]], np.float32))
        async with grpcclient.InferenceServerClient(gateway.address("gRPC")) as client:
            over_grpc: Counter[str] = Counter()
            for _ in range(200):
                answer = await client.infer("public", [value])
                reply = answer.get_response()
                assert reply.model_name == "public"
                assert answer.as_numpy("y")[0, 0] == 1.0 + PLUS[int(reply.model_version)]
                over_grpc[reply.model_version] += 1
            metadata = await client.get_model_metadata("public")
        assert metadata.name == "public"
        assert set(over_grpc) == {"1", "2"}
        assert 60 <= over_grpc["1"] <= 140


async def test_weights_and_aliases_change_under_load_without_a_dropped_request(repository: Path) -> None:
    async with serving(repository, [{"model": "public", "targets": targets(100, 0)}]) as gateway:
        changes = iter(range(1, 10))

        async def change() -> bool:
            turn = next(changes, None)
            if turn is None:
                return True
            weights = {"v1": 100 - 10 * turn, "v2": 10 * turn}
            await control(gateway, "PUT", "/v1/routes/public/weights", {"weights": weights})
            return False

        seen = await ask_until(gateway, "nine changes", change)
        assert {status for status, _ in seen} == {200}
        assert {version for _, version in seen} == {"1", "2"}

        await control(gateway, "POST", "/v1/routes/public/switch", {"target": "v2"})
        await until_only(gateway, "2")
        await control(gateway, "POST", "/v1/routes/public/rollback", {})
        await control(gateway, "POST", "/v1/routes/public/switch", {"target": "v1"})
        await until_only(gateway, "1")
        await control(gateway, "PUT", "/v1/aliases/latest-stable", {"to": "m/3"})
        await gateway.until_model("m", 30, lambda model: _versions(model) == {1, 2, 3})

        async def aliased() -> bool:
            return (await gateway.infer("latest-stable")).status_code == 200

        await until(aliased, gateway)
        assert await ask(gateway, "latest-stable") == (200, "3")


async def test_a_wrong_candidate_is_taken_back_and_a_right_one_is_promoted(repository: Path) -> None:
    quick = {"bake_seconds": 0.5, "least_requests": 20, "steps": [5, 50, 100], "gates": MACHINE, "shadow_percent": 100}
    wrong = {"model": "public", "targets": targets(None, None), "canary": {"candidate": "v2", **quick}}
    right = {"model": "fine", "targets": targets(None, None, versions=(1, 3)), "canary": {"candidate": "v3", **quick}}

    async with serving(repository, [wrong, right]) as gateway:

        async def taken_back() -> bool:
            return await phase(gateway) == "rolled_back"

        seen = await ask_until(gateway, "the wrong one taken back", taken_back)
        assert seen[200, "2"] < 200
        assert {status for status, _ in seen} == {200}
        assert "canary public: rolled back at 5 %: agreement" in gateway.output

        restarted = False

        async def promoted() -> bool:
            nonlocal restarted
            told = await control(gateway, "GET", "/v1/canaries/fine")
            if told["percent"] == 50 and not restarted:
                restarted = True
                [control_process] = [pid for pid, line in gateway.below().items() if "gateway.cli control" in line]
                os.kill(control_process, signal.SIGKILL)
                await until(lambda: _answers(gateway), gateway)
                assert (await control(gateway, "GET", "/v1/canaries/fine"))["percent"] >= 50
            return bool(told["phase"] == "promoted")

        await ask_until(gateway, "the right one promoted", promoted, "fine")
        assert restarted
        history = (await control(gateway, "GET", "/v1/canaries/fine"))["history"]
        assert len(history) >= 4, history

    async with serving(repository, [wrong, right]) as gateway:  # all of it was stopped
        assert (await phase(gateway), await phase(gateway, "fine")) == ("rolled_back", "promoted")
        assert {await ask(gateway, "fine") for _ in range(20)} == {(200, "3")}
        assert {await ask(gateway) for _ in range(20)} == {(200, "1")}


async def test_answers_of_a_mirror_are_compared_and_requests_can_be_replayed(repository: Path) -> None:
    mirror = {"name": "shadow", "model": "m", "version": 2, "compare": {"by": "max_error"}}
    routes = [{"model": "public", "targets": targets(100, versions=(1,)), "mirrors": [mirror]}]
    log = repository.parent / "recordings"
    recording = (f"recording.folder={log}", "recording.every=1", "recording.segment_seconds=0.5")
    async with serving(repository, routes, *recording) as gateway:

        async def compared() -> bool:
            told = await gateway.client.get(f"http://{gateway.address('control')}/v1/comparisons/public/shadow")
            enough = told.status_code == 200 and told.json()["counts"]["differed"] >= 20
            return enough and any(log.glob("public/*.jsonl"))

        seen = await ask_until(gateway, "twenty comparisons", compared)
        assert set(seen) == {(200, "1")}
        page = await gateway.client.get(f"http://{gateway.address('control')}/comparisons/public/shadow")
        assert (page.status_code, "<svg" in page.text) == (200, True)

        target = ("--to", f"http://{gateway.address('HTTP')}", "--limit", "20", "--json")
        same = await replay(log / "public", "--model", "m", "--version", "1", *target)
        assert (same["sent"], same["agreement_percent"]) == (20, 100.0)
        other = await replay(log / "public", "--model", "m", "--version", "2", *target)
        assert (other["sent"], other["agreement_percent"]) == (20, 0.0)


async def test_a_changed_file_brings_routes_and_pins_their_versions(repository: Path) -> None:
    path = repository.parent / "gateway.yaml"
    path.write_text("{}")
    async with running(repository, file=path) as gateway:
        await gateway.until_model("m", 30, lambda model: _versions(model) == {3})
        path.write_text(yaml.safe_dump({"traffic": {"routes": [{"model": "public", "targets": targets(90, 20)}]}}))
        await gateway.until(
            lambda: "the weights of a route sum to 100, and these to 110" in gateway.output, 20, "refusal"
        )
        path.write_text(yaml.safe_dump({"traffic": {"routes": [{"model": "public", "targets": targets(100, 0)}]}}))
        await gateway.until_model("m", 30, lambda model: _versions(model) == {1, 2, 3})

        async def routed() -> bool:
            return (await gateway.infer("public")).status_code == 200

        await until(routed, gateway)
        assert await ask(gateway) == (200, "1")
        path.write_text("{}")
        await gateway.until_model("m", 30, lambda model: _versions(model) == {3})


async def replay(*arguments: str | Path) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli", "replay", *map(str, arguments)), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output
    told: dict[str, Any] = json.loads(output)
    return told


async def until(is_so: Callable[[], Any], gateway: Running) -> None:
    try:
        async with asyncio.timeout(30):
            while not await is_so():
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(gateway.output) from None


async def until_only(gateway: Running, version: str) -> None:
    """Wait until the workers go by what was decided: then one version answers everything."""

    async def settled() -> bool:
        return {await ask(gateway) for _ in range(20)} == {(200, version)}

    await until(settled, gateway)


async def _answers(gateway: Running) -> bool:
    try:
        await control(gateway, "GET", "/v1/canaries/fine")
    except Exception:
        return False
    return True


def _versions(model: dict[str, Any]) -> set[int]:
    return {version for site in model.get("sites", {}).values() for version in site["versions"]}

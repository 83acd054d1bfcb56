"""`kill -9` at any moment of a publish: the old version or the new one serves, nothing is half there or there twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.repository.store import Store

from .running import Running, plus, running

pytestmark = pytest.mark.integration

SEED = int(os.environ.get("SEED", "1"))
LONGEST_PUBLISH = 6.0
"""Seconds from a drop to a published version with some machine to spare; later moments find it published."""


def _launcher(gateway: Running) -> int:
    return gateway.process.pid


def _below(word: str) -> Callable[[Running], int | None]:
    return lambda gateway: next((pid for pid, line in gateway.below().items() if word in line), None)


VICTIMS: dict[str, Callable[[Running], int | None]] = {
    "launcher": _launcher,
    "triton": _below("bin/tritonserver --model-repository"),
    "sandbox": _below("gateway.repository.sandboxed"),
}


def whole_versions(repository: Path) -> dict[int, str]:
    """The versions of the model "moving", none of them half there, and none there twice; by what they came from."""
    store = Store(repository)
    store.recover()
    found = store.record("moving")
    assert found is not None
    assert store.verify("moving", quick=False) == []
    folders = sorted(int(path.name) for path in (repository / "moving").iterdir() if path.name.isdecimal())
    assert folders == list(found.kept)
    sources = {number: version.source_sha256 for number, version in found.versions.items()}
    assert max(Counter(sources.values()).values()) == 1, "a drop was published twice"
    assert list((repository / ".triton-gateway" / "staging").iterdir()) == []
    return sources


async def kill(gateway: Running, victim: str) -> None:
    """End one of the gateway's processes without a word, and all of them if it was the launcher."""
    if victim == "launcher":
        await gateway.kill()
    elif (pid := VICTIMS[victim](gateway)) is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def is_served(gateway: Running, numbers: set[int]) -> None:
    """The model answers, with one of these versions; each answers with its own number."""
    await gateway.until_model("moving", 60, lambda model: model.get("state") == "ready" and not model["drop"])
    assert await gateway.answer("moving") in numbers


async def drop_and_kill(gateway: Running, victim: str, number: int, seconds: float) -> None:
    """Drop version `number`, and kill so many seconds later."""
    gateway.drop("moving", plus(number))
    await asyncio.sleep(seconds)
    await kill(gateway, victim)


def is_published_or_waits(repository: Path, number: int) -> None:
    """A drop is there or its version is; version `number` of the model is the `number`th drop."""
    versions = whole_versions(repository)
    assert max(versions) in (number - 1, number)
    assert max(versions) == number or (repository / "moving.onnx").exists()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """An empty model repository."""
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


async def test_a_launcher_killed_in_a_publish_leaves_a_whole_version_and_goes_on(repository: Path) -> None:
    async with running(repository) as gateway:
        gateway.drop("moving", plus(1))
        await gateway.until_served("moving", 1)
        gateway.drop("moving", plus(2))
        await gateway.until(lambda: any("--candidate" in line for line in gateway.below().values()), 30, "a rehearsal")
        await gateway.kill()
    is_published_or_waits(repository, 2)
    async with running(repository) as gateway:
        await gateway.until_served("moving", 2)
        assert await gateway.answer("moving") == 2.0
    assert sorted(whole_versions(repository)) == [1, 2]
    assert not (repository / "moving.onnx").exists()


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("victim", VICTIMS)
async def test_killed_at_any_moment_of_a_publish(repository: Path, victim: str) -> None:
    moments = random.Random(SEED)  # noqa: S311 - reproducible on purpose
    number = 1
    async with running(repository) as gateway:
        gateway.drop("moving", plus(1))
        await gateway.until_served("moving", 1)
    for _ in range(int(os.environ.get("ROUNDS", "24"))):
        number += 1
        async with running(repository) as gateway:
            await gateway.until_served("moving", number - 1)
            await drop_and_kill(gateway, victim, number, moments.uniform(0.0, LONGEST_PUBLISH))
            if victim != "launcher":
                await gateway.until_model("moving", 60, lambda model: model.get("state") == "ready" or "drop" in model)
        is_published_or_waits(repository, number)
        async with running(repository) as gateway:
            await gateway.until_served("moving", number)
            assert await gateway.answer("moving") == float(number)
        assert not (repository / "moving.onnx").exists()

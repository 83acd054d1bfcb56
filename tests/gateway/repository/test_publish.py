"""The publisher with the real sandbox and the real store."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.config import SandboxSection
from gateway.core.errors import ModelRefused
from gateway.repository.description import Hints, Tensor
from gateway.repository.drops import Drop, find, signature
from gateway.repository.publish import DropChanged, Publisher
from gateway.repository.site import FakeSite
from gateway.repository.store import Store
from tests.gateway.repository import quick_sandbox
from tests.gateway.repository.dropped import onnx_model

LIMITS = SandboxSection(memory_mib=2048, seconds=60, file_mib=64)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test is not about the sandbox."""
    quick_sandbox.use(monkeypatch)


@pytest.fixture
def site(repository: Path) -> FakeSite:
    return FakeSite(repository=repository)


@pytest.fixture
def publisher(repository: Path, site: FakeSite) -> Publisher:
    return Publisher(Store(repository), lambda _: [site], LIMITS)


def dropped(repository: Path, *operators: str) -> Drop:
    onnx_model(repository / "fraud.onnx", *operators)
    [drop] = find(repository)
    return drop


async def publish(publisher: Publisher, drop: Drop, steps: list[str] | None = None) -> int:
    told = steps if steps is not None else []
    return await publisher.publish(drop, signature(drop.files), told.append)


def staging(repository: Path) -> list[Path]:
    return list((repository / ".triton-gateway" / "staging").iterdir())


async def test_a_new_model_is_published_without_a_rehearsal(
    publisher: Publisher, repository: Path, site: FakeSite
) -> None:
    drop, steps = dropped(repository, "Abs"), list[str]()
    assert await publish(publisher, drop, steps) == 1
    assert steps[-1] == "publishing"
    assert not drop.source.exists()
    assert site.calls == []
    assert staging(repository) == []
    found = Store(repository).record("fraud")
    assert found is not None
    assert found.versions[1].source == "fraud.onnx"


async def test_a_version_is_rehearsed_where_an_older_one_serves(
    publisher: Publisher, repository: Path, site: FakeSite
) -> None:
    seen: list[tuple[list[str], Sequence[Mapping[str, Any]]]] = []

    async def rehearse(model: str, folder: Path, sample: Sequence[Mapping[str, Any]]) -> None:
        seen.append((sorted(os.listdir(folder)), sample))  # noqa: PTH208 - no path object in a coroutine

    await publish(publisher, dropped(repository, "Abs"))
    await site.serve({"fraud": "1"})
    site.rehearse = rehearse  # type: ignore[method-assign]  # looks at what it is given
    assert await publish(publisher, dropped(repository, "Abs", "Sqrt")) == 2
    [(names, sample)] = seen
    assert names == ["1", "config.pbtxt"]
    assert sample[0]["name"] == "x"


@pytest.mark.usefixtures("quick")
async def test_what_a_site_cannot_serve_is_refused_and_nothing_changes(
    publisher: Publisher, repository: Path, site: FakeSite
) -> None:
    await publish(publisher, dropped(repository, "Abs"))
    await site.serve({"fraud": "1"})
    site.failures["fraud"] = "no memory"
    drop = dropped(repository, "Sqrt")
    with pytest.raises(ModelRefused, match=r"Triton \(fake\) cannot serve the new version, and the old one stays: no"):
        await publish(publisher, drop)
    assert drop.source.exists()
    assert not (repository / "fraud" / "2").exists()
    assert staging(repository) == []


@pytest.mark.usefixtures("quick")
async def test_a_site_that_serves_nothing_of_it_has_no_say(
    publisher: Publisher, repository: Path, site: FakeSite
) -> None:
    await publish(publisher, dropped(repository, "Abs"))
    site.failures["fraud"] = "no memory"
    await site.serve({"fraud": "1"})  # fails, so there is nothing to keep safe
    assert await publish(publisher, dropped(repository, "Sqrt")) == 2


@pytest.mark.usefixtures("quick")
async def test_the_same_drop_again_is_the_same_version(publisher: Publisher, repository: Path) -> None:
    assert await publish(publisher, dropped(repository, "Abs")) == 1
    drop = dropped(repository, "Abs")
    assert await publish(publisher, drop) == 1
    assert not drop.source.exists()


@pytest.mark.usefixtures("quick")
async def test_the_same_drop_again_is_kept_if_somebody_writes_it(publisher: Publisher, repository: Path) -> None:
    await publish(publisher, dropped(repository, "Abs"))
    drop = dropped(repository, "Abs")
    with pytest.raises(DropChanged, match="was changed while it was looked at"):
        await publisher.publish(drop, (), lambda _: None)
    assert drop.source.exists()


@pytest.mark.usefixtures("quick")
async def test_a_drop_that_is_not_ours_stays(repository: Path, tmp_path: Path) -> None:
    source = onnx_model(tmp_path / "mine.onnx", "Abs")
    drop = Drop("fraud", source, (source,))
    publisher = Publisher(Store(repository), lambda _: (), LIMITS, consume=False)
    assert await publish(publisher, drop) == 1
    assert await publish(publisher, drop) == 1
    assert source.exists()


@pytest.mark.usefixtures("quick")
async def test_other_inputs_make_another_version_of_the_same_file(repository: Path, tmp_path: Path) -> None:
    source = onnx_model(tmp_path / "mine.onnx", "Abs")
    drop = Drop("fraud", source, (source,))
    publisher = Publisher(Store(repository), lambda _: (), LIMITS, consume=False)
    assert await publish(publisher, drop) == 1
    hints = Hints(inputs=(Tensor("x", "FP32", (-1, 4)),))
    assert await publisher.publish(drop, signature(drop.files), lambda _: None, hints) == 2


async def test_a_drop_that_changed_meanwhile_is_not_published(publisher: Publisher, repository: Path) -> None:
    drop = dropped(repository, "Abs")

    def change(step: str) -> None:
        if step.startswith("reading"):
            onnx_model(repository / "fraud.onnx", "Sqrt")

    with pytest.raises(DropChanged):
        await publisher.publish(drop, signature(drop.files), change)
    assert drop.source.exists()
    assert not (repository / "fraud").exists()


async def test_a_drop_with_a_problem_is_refused_with_it(publisher: Publisher, repository: Path) -> None:
    with pytest.raises(ModelRefused, match="two of them"):
        await publish(publisher, Drop("fraud", repository / "fraud.onnx", (), "two of them"))


@pytest.mark.parametrize("step", ["starting", "reading", "loading", "publishing"])
async def test_cancelling_at_any_time_leaves_no_scratch_folder(
    publisher: Publisher, repository: Path, step: str
) -> None:
    drop = dropped(repository, "Abs")
    reached = asyncio.Event()
    task = asyncio.create_task(
        publisher.publish(drop, signature(drop.files), lambda told: reached.set() if told.startswith(step) else None)
    )
    if step != "starting":
        await asyncio.wait_for(reached.wait(), 30)
    else:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not (repository / ".triton-gateway").exists() or staging(repository) == []
    assert drop.source.exists() != (repository / "fraud").exists()

"""An external Triton in memory; `tests/integration/test_sites.py` uses a real one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.config import UpstreamSection
from gateway.repository.model_control import ControlError, FakeControl
from gateway.repository.site import ModelState
from gateway.triton import external
from gateway.triton.external import ExternalTriton

UPSTREAM = UpstreamSection(name="gpu-1", http="127.0.0.1:9", grpc="127.0.0.1:9")


class Connected(FakeControl):
    """A control that is connected to a Triton in memory, which sees what is in the folder."""

    def __init__(self, repository: Path) -> None:
        super().__init__([])
        self._repository = repository

    async def __aenter__(self) -> Connected:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.calls.append(("close", ""))

    async def load(self, model: str, timeout: float, config: str = "") -> None:
        self.models |= {path.name for path in self._repository.iterdir()}
        await super().load(model, timeout)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for model in ("add", "mul"):
        (tmp_path / "repository" / model / "1").mkdir(parents=True)
    return tmp_path / "repository"


@pytest.fixture
def control(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Connected:
    control = Connected(repository)
    monkeypatch.setattr(external, "TritonControl", lambda *_: control)
    return control


@pytest.fixture
async def triton(control: Connected, repository: Path) -> AsyncIterator[ExternalTriton]:
    async with ExternalTriton(UPSTREAM, repository) as triton:
        yield triton


async def test_nothing_is_touched_before_anything_is_desired(control: Connected, triton: ExternalTriton) -> None:
    control.models, control.loaded = {"add"}, {"add"}
    await triton._reconciler.look()
    assert (triton.name, control.calls, dict(triton.states())) == ("gpu-1", [], {})


async def test_of_what_is_ready_only_models_of_the_repository_are_unloaded(
    control: Connected, triton: ExternalTriton, repository: Path
) -> None:
    control.models = control.loaded = {"add", "mul", "theirs", "x--candidate"}
    control.models |= {"y--candidate"}
    (repository / "y--candidate").mkdir()
    control.loaded |= {"y--candidate"}
    await triton.serve({"add": "1"})
    assert control.loaded == {"add", "theirs", "y--candidate"}  # y is being tried out by another gateway


async def test_a_rehearsal_uses_a_folder_of_the_repository_and_removes_it(
    control: Connected, triton: ExternalTriton, repository: Path, tmp_path: Path
) -> None:
    (tmp_path / "prepared" / "1").mkdir(parents=True)
    await triton.serve({"add": "1"})
    await triton.rehearse("add", tmp_path / "prepared", [{"name": "X"}])
    loaded = [model for what, model in control.calls if what == "load"]
    assert loaded[-1].startswith("add-")
    assert loaded[-1].endswith("--candidate")
    assert not list(repository.glob("*--candidate"))  # noqa: ASYNC240 - a folder of two
    assert list(triton.states()) == ["add"]


async def test_a_rehearsal_that_fails_speaks_of_the_model(
    control: Connected, triton: ExternalTriton, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "prepared").mkdir()

    async def refuse(model: str, timeout: float, config: str = "") -> None:
        raise ControlError(f"no weights in {model}")

    monkeypatch.setattr(control, "load", refuse)
    with pytest.raises(ControlError, match=r"^no weights in add$"):
        await triton.rehearse("add", tmp_path / "prepared", [])


async def test_what_a_killed_gateway_left_is_removed_at_the_start(control: Connected, repository: Path) -> None:
    left = repository / "add-0123abcd--candidate"
    left.mkdir()
    os.utime(left, (1, 1))
    async with ExternalTriton(UPSTREAM, repository):
        assert not left.exists()
    assert control.calls == [("close", "")]


async def test_a_triton_that_is_not_there_leaves_its_models_waiting(repository: Path) -> None:
    async with ExternalTriton(UPSTREAM, repository) as triton:
        await triton.serve({"add": "1"})
        assert triton.states()["add"].state is ModelState.WAITING
        assert "does not answer" in triton.states()["add"].reason


async def test_a_fault_ends_every_wait(control: Connected, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail() -> list[object]:
        raise ZeroDivisionError

    monkeypatch.setattr(control, "index", fail)
    triton = ExternalTriton(UPSTREAM, repository)

    async def run() -> None:
        async with triton, asyncio.timeout(5):
            await triton.wait_settled()

    with pytest.raises(ExceptionGroup, match="unhandled errors"):
        await run()
    assert "ZeroDivisionError" in triton._board.failure
    assert control.calls == [("close", "")]

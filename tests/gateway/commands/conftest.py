"""The command line over a repository of its own, and small models to give it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.config import SandboxSection
from gateway.repository.description import Hints, Prepared
from gateway.repository.sandbox import prepare
from tests.gateway.commands.rig import Rig, Running, free_port
from tests.gateway.repository.dropped import onnx_model


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """Commands run in an empty folder, without the checkout's own configuration."""
    repository = tmp_path / "models"
    repository.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return Rig(repository, free_port())


@pytest.fixture
def running(rig: Rig) -> Iterator[Running]:
    """A gateway that follows the repository."""
    with Running(rig) as running:
        yield running


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return onnx_model(tmp_path_factory.mktemp("model") / "fraud.onnx", "Abs")


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return onnx_model(tmp_path_factory.mktemp("model") / "fraud.onnx", "Abs", "Sqrt")


@pytest.fixture(scope="session")
def versions(tmp_path_factory: pytest.TempPathFactory, model: Path, other: Path) -> tuple[Prepared, Prepared]:
    """Both models, as the sandbox makes them servable."""

    def prepared(source: Path) -> Prepared:
        scratch = tmp_path_factory.mktemp("scratch")
        return asyncio.run(prepare(source, "fraud", scratch, Hints(), SandboxSection()))

    return prepared(model), prepared(other)


@pytest.fixture(scope="session")
def damaged(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    path = tmp_path_factory.mktemp("model") / "fraud.onnx"
    path.write_bytes(model.read_bytes()[:-9])
    return path

"""A repository, the command line over it, and a gateway that follows it: the real manager and the real control API."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.config import RepositorySection
from gateway.control.api import StatusBoard, create_api
from gateway.frontends.server import HttpServer
from gateway.repository.description import Prepared
from gateway.repository.manager import Place, RepositoryManager
from gateway.repository.placement import SiteInfo
from gateway.repository.site import FakeSite
from gateway.repository.store import Store
from gateway.sockets import bind


@dataclass
class Command:
    """What a command said."""

    result: Result

    @property
    def code(self) -> int:
        return self.result.exit_code

    @property
    def out(self) -> str:
        return self.result.stdout

    @property
    def err(self) -> str:
        return self.result.stderr

    @property
    def data(self) -> Any:
        return json.loads(self.result.stdout)


@dataclass
class Rig:
    """The command line over one repository; no gateway answers until one runs."""

    repository: Path
    port: int

    def run(self, *arguments: object, answer: str | None = None) -> Command:
        settings = ("--set", f"repository.path={self.repository}", "--set", f"control.port={self.port}")
        words = ["models", *map(str, arguments), *settings]
        result = CliRunner().invoke(main, words, input=answer, catch_exceptions=False)
        assert "Traceback" not in result.output
        return Command(result)

    def put(self, name: str, *prepared: Prepared) -> None:
        """Publish these versions, without the sandbox."""
        for each in prepared:
            Store(self.repository).publish(name, each, source=f"{name}.onnx")

    def by_hand(self, name: str, model: Path) -> Path:
        folder = self.repository / name
        (folder / "1").mkdir(parents=True)
        shutil.copy(model, folder / "1" / "model.onnx")
        return folder


@dataclass
class Running:
    """A gateway in a thread of its own, with a Triton in memory."""

    rig: Rig
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.site = FakeSite("triton", self.rig.repository)
        self.board = StatusBoard()
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Running:
        self._thread.start()
        assert self._started.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)

    def until(self, holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + 20
        while not holds():
            assert time.monotonic() < deadline, self.board.status
            time.sleep(0.02)

    def _tell(self) -> None:
        told = {"path": str(self.rig.repository), **self._manager.status()}
        self.board.status = {"repository": told, "addresses": {"http": "127.0.0.1:8000", "grpc": "127.0.0.1:8001"}}

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        section = RepositorySection(path=self.rig.repository, settle_seconds=0.2, **self.settings)
        self._manager = RepositoryManager(Store(self.rig.repository), section, self._tell)
        async with AsyncExitStack() as stack:
            await self._manager.open()
            self._manager.use([Place(self.site, SiteInfo(self.site.name))])
            api = create_api(self.board)
            await stack.enter_async_context(HttpServer(api, "127.0.0.1", self.rig.port, "control.port", 1))
            task = asyncio.create_task(self._manager.run())
            self._started.set()
            await self._stop.wait()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def free_port() -> int:
    with bind("127.0.0.1", 0, "a test's port") as free:
        port: int = free.getsockname()[1]
        return port

"""A gateway whose traffic is steered: the real manager behind the real API, with workers that follow at once."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner

from gateway.commands import options
from gateway.frontends.server import HttpServer
from tests.gateway.commands.rig import Command
from tests.gateway.control.traffic.rig import Rig

_FOLLOW_SECONDS = 0.02


@click.group(
    cls=options.Commands, elsewhere={"traffic": "gateway.commands.traffic", "canary": "gateway.commands.canary"}
)
def _main() -> None:
    """Stands for the whole command line."""


@dataclass
class Steered:
    """It, in a thread of its own."""

    rig: Rig
    port: int = 0
    follows: bool = True

    def run(self, *words: object) -> Command:
        settings = ("--set", f"control.port={self.port}")
        result = CliRunner().invoke(_main, [*map(str, words), *settings], catch_exceptions=False)
        assert "Traceback" not in result.output
        return Command(result)

    def __enter__(self) -> Steered:
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        assert self._started.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with HttpServer(self.rig.app(), "127.0.0.1", 0, "control.port", 1) as server:
            self.port = server.port
            self._started.set()
            while not self._stop.is_set():
                for worker in self.rig.workers if self.follows else ():
                    worker.follow(self.rig.traffic)
                self.rig.hear()
                self.rig.traffic.tick()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), _FOLLOW_SECONDS)


def write_config(folder: Path, section: Any) -> None:
    """The configuration file of the same routes, where commands look for it; the models are in other Tritons."""
    (folder / "configs").mkdir()
    elsewhere = {"upstreams": [{"http": "triton:8000", "grpc": "triton:8001"}]}
    told = section.model_dump(exclude_defaults=True, mode="json")
    (folder / "configs" / "gateway.yaml").write_text(json.dumps({"traffic": told, **elsewhere}))

"""Start an embedded Triton as the gateway does, and keep it until SIGTERM or the end of standard input.

Usage: python -m benchmarks.triton_server REPOSITORY HTTP_PORT GRPC_PORT LOG_FILE MODEL...
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from rich.console import Console

from gateway.assets import asset
from gateway.config import TritonSection
from gateway.triton.fetch import default_cache_dir, ensure_triton
from gateway.triton.supervise import EmbeddedTriton


async def serve(repository: Path, http: int, grpc: int, log: Path, models: list[str]) -> None:
    """Serve `models` until whoever started this says so or is gone."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    await loop.connect_read_pipe(lambda: _Lifeline(stop), sys.stdin)
    install = ensure_triton(default_cache_dir(os.environ), Console())
    section = TritonSection(http_port=http, grpc_port=grpc, metrics_port=0, log_file=log)
    async with EmbeddedTriton(section, install, repository, asset("backends"), models, print) as triton:
        await triton.wait_ready()
        failed = [name for name, model in triton.status().models.items() if model.state != "ready"]
        print("cannot load:", *failed, flush=True) if failed else print("ready", flush=True)
        await stop.wait()


class _Lifeline(asyncio.Protocol):
    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the base class has it
        self._stop.set()


if __name__ == "__main__":
    where, http_port, grpc_port, log_file, *names = sys.argv[1:]
    asyncio.run(serve(Path(where), int(http_port), int(grpc_port), Path(log_file), names))

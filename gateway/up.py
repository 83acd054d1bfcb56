"""`triton-gateway up` and `serve`: bring everything up, keep it up, and take it down.

This process answers no request. It fetches what is missing, then owns the others: the embedded Triton (unless the
configuration names an external one), the data process and the control process. When it goes, however it goes, they go.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Collection, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import httpx
from rich.console import Console

from gateway.assets import asset
from gateway.config import Config, UpstreamSection
from gateway.demo import run_demo
from gateway.frontends.server import bind
from gateway.narrate import Narrator, reach
from gateway.processes import Child
from gateway.repository.samples import fetch_samples
from gateway.repository.scan import ModelFolder, installed_frameworks, scan
from gateway.triton.fetch import TritonInstall, default_cache_dir, ensure_triton
from gateway.triton.status import Event
from gateway.triton.supervise import EmbeddedTriton

_STOP_SECONDS = 2.0  # for a child to end by itself after its own drain time


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is on disk and fit to be served."""

    install: TritonInstall
    models: tuple[ModelFolder, ...]
    skipped: tuple[ModelFolder, ...]


def prepare(config: Config, console: Console) -> Prepared:
    """Fetch what the embedded Triton needs, and see which models it can serve.

    Raises:
        SetupError: something is missing and cannot be had; the message says what to do.
    """
    repository = config.repository.path
    frameworks = frameworks_of(config)
    install = ensure_triton(config.triton.cache_dir or default_cache_dir(os.environ), console)
    if (repository / "manifest.yaml").exists():
        fetch_samples(repository, frameworks, console)
    folders = scan(repository, config.repository.frameworks)
    models = tuple(folder for folder in folders if folder.problem is None)
    skipped = tuple(folder for folder in folders if folder.problem is not None)
    return Prepared(install, models, skipped)


def frameworks_of(config: Config) -> Collection[str]:
    """The frameworks whose models are served: those that are configured, else those that are installed."""
    return config.repository.frameworks or installed_frameworks()


def check_ports(config: Config) -> None:
    """Find a port that is taken before anything slow is done.

    Raises:
        SetupError: one is; the message names it.
    """
    for section, key in ((config.http, "http.port"), (config.grpc, "grpc.port"), (config.control, "control.port")):
        bind(section.host, section.port, key).close()


class Gateway:
    """Everything that `up` and `serve` run.

    Args:
        config: the configuration.
        console: where a person reads what happens.
    """

    def __init__(self, config: Config, console: Console) -> None:
        self._config = config
        self._console = console
        self._narrator = Narrator(console)
        self._started = time.monotonic()
        self._addresses: dict[str, str] = {}
        self._triton: EmbeddedTriton | None = None
        self._data = Child("data", lambda: self._config, self._died("data"), self._publish)
        self._control = Child("control", lambda: self._config, self._died("control"), self._publish)

    async def run(self, prepared: Prepared | None, demo: bool) -> None:
        """Start everything, show it, and stay until SIGINT or SIGTERM.

        Args:
            prepared: what the embedded Triton serves; None for an external Triton.
            demo: whether the main job is shown once everything is ready.

        Raises:
            SetupError: something cannot start.
        """
        stop = _on_signals()
        async with AsyncExitStack() as stack:
            await _unless(stop, self._serve(prepared, demo, stack))
            self._console.print("Stopping: requests in flight are finished first ...")
        self._console.print("Stopped.")

    async def _serve(self, prepared: Prepared | None, demo: bool, stack: AsyncExitStack) -> None:
        await self._start(prepared, stack)
        if demo:
            await self._demonstrate()
        self._console.print("[bold]Serving.[/] Ctrl-C stops.")
        await asyncio.Event().wait()

    async def _start(self, prepared: Prepared | None, stack: AsyncExitStack) -> None:
        with self._narrator.working("Starting"):
            if prepared is not None:
                await self._start_triton(prepared, stack)
            for child, drain in ((self._control, 1.0), (self._data, self._config.limits.drain_seconds)):
                stack.push_async_callback(child.stop, drain + _STOP_SECONDS)
                self._addresses |= await child.start()
            self._keep_ports()
            self._publish()
            if self._triton is not None:
                await self._triton.wait_ready()
        self._publish()
        self._narrator.ready(self._addresses, time.monotonic() - self._started)
        if self._triton is None:
            ready = await self._ask("GET", "/v2/health/ready")
            if ready is None or ready.status_code != 200:
                self._console.print(
                    "[yellow]The external Triton is not ready yet:[/] inference gets 503 until it is. "
                    "If that lasts, check `upstream` in the configuration."
                )

    async def _start_triton(self, prepared: Prepared, stack: AsyncExitStack) -> None:
        for folder in prepared.skipped:
            self._narrator.skipped(folder.name, str(folder.problem))
        names = [folder.name for folder in prepared.models]
        repository = self._config.repository.path
        triton = EmbeddedTriton(
            self._config.triton, prepared.install, repository, asset("backends"), names, self._on_event
        )
        self._triton = await stack.enter_async_context(triton)
        upstream = UpstreamSection(http=triton.http_address, grpc=triton.grpc_address)
        self._config = self._config.model_copy(update={"upstream": upstream})

    def _keep_ports(self) -> None:
        """Give a restarted child the ports that it got the first time."""
        ports = {protocol: int(address.rpartition(":")[2]) for protocol, address in self._addresses.items()}
        sections = {p: getattr(self._config, p).model_copy(update={"port": port}) for p, port in ports.items()}
        self._config = self._config.model_copy(update=sections)

    async def _demonstrate(self) -> None:
        http, grpc = reach(self._addresses["http"]), reach(self._addresses["grpc"])
        if not await run_demo(http, grpc, await self._ready_models(), self._console):
            self._console.print("[yellow]The demonstration did not give what it should; see above.[/]")

    async def _ready_models(self) -> list[str]:
        """The models that can be called through the gateway now."""
        reply = await self._ask("POST", "/v2/repository/index")
        rows = reply.json() if reply is not None and reply.status_code == 200 else []
        return [row["name"] for row in rows if row.get("state") == "READY"]

    async def _ask(self, method: str, path: str) -> httpx.Response | None:
        """Ask the data process as a client would; None if nobody answers."""
        async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
            try:
                return await client.request(method, f"http://{reach(self._addresses['http'])}{path}")
            except httpx.HTTPError:
                return None

    def _on_event(self, event: Event) -> None:
        self._narrator.tell(event)
        self._publish()

    def _died(self, role: str) -> Callable[[int, float], None]:
        def tell(status: int, delay: float) -> None:
            self._console.print(f"[red]The {role} process died[/] (status {status}); it is started again in {delay} s")

        return tell

    def _publish(self) -> None:
        """Tell the control process how things are."""
        triton = self._triton.status().as_dict() if self._triton is not None else None
        self._control.tell(
            {
                "version": version("triton-gateway"),
                "addresses": self._addresses,
                "processes": {"launcher": os.getpid(), "data": self._data.pid, "control": self._control.pid},
                "upstream": self._config.upstream.model_dump() if self._config.upstream else None,
                "triton": triton,
            }
        )


def _on_signals() -> asyncio.Event:
    """An event that SIGINT and SIGTERM set; a second one ends the process at once, and what it owns with it."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def first(number: signal.Signals) -> None:
        stop.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, first, number)
    return stop


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do `work` until it fails, ends, or `stop` is set."""
    task, stopped = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
    finally:
        for owned in (task, stopped):
            owned.cancel()
        await asyncio.gather(task, stopped, return_exceptions=True)

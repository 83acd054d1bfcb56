"""`triton-gateway up` and `serve`: bring everything up, keep it up, and take it down.

This process answers no request. It fetches what is missing, then owns the others: the embedded Triton (unless the
configuration names external ones), the data workers and the control process. When it goes, however it goes, they go.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Collection
from contextlib import AsyncExitStack
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import httpx
from rich.console import Console

from gateway.assets import asset
from gateway.beside import Beside
from gateway.config import Config, UpstreamSection
from gateway.core.errors import ConfigError, SetupError
from gateway.demo import run_demo
from gateway.fleet import Fleet
from gateway.narrate import Narrator, reach
from gateway.processes import Child
from gateway.reload import ConfigFile, change
from gateway.repository.progress import News, NewsKind
from gateway.repository.samples import fetch_samples
from gateway.repository.scan import installed_frameworks
from gateway.shutdown import end, on_signals, unless
from gateway.sockets import bind
from gateway.stock import Stock
from gateway.tap_process import TapProcess
from gateway.traffic.pins import pinned
from gateway.traffic.snapshot import Snapshot
from gateway.triton.fetch import TritonInstall, default_cache_dir, ensure_triton
from gateway.triton.status import Event, ModelState
from gateway.triton.supervise import EmbeddedTriton

_CONTROL_STOP_SECONDS = 3.0
_PUBLISH_SECONDS = 0.1
_PUBLISH_SHARE = 20  # the status of a thousand models takes a while to write: at most a twentieth of the time
_ASK_SECONDS = 2.0  # for an external Triton to say at the start whether it is ready


def prepare(config: Config, console: Console) -> TritonInstall:
    """Fetch what the embedded Triton needs, and the sample models that the repository's manifest names.

    Raises:
        SetupError: something is missing and cannot be had; the message says what to do.
    """
    repository = config.repository.path
    frameworks = frameworks_of(config)
    install = ensure_triton(config.triton.cache_dir or default_cache_dir(os.environ), console)
    if (repository / "manifest.yaml").exists():
        fetch_samples(repository, frameworks, console)
    return install


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
        file: where the configuration comes from; followed while the gateway runs. Default: nowhere.
    """

    def __init__(self, config: Config, console: Console, file: ConfigFile | None = None) -> None:
        self._loaded = config  # as the file and the command line say it
        self._fixed: dict[str, Any] = {}  # what this run has decided: where the embedded Triton and the control API are
        self._file = file or ConfigFile(None, lambda: config)
        self._reload: dict[str, Any] = {"error": None, "waiting": ()}
        self._console = console
        self._narrator = Narrator(console)
        self._started = time.monotonic()
        self._addresses: dict[str, str] = {}
        self._triton: EmbeddedTriton | None = None
        self._stock: Stock | None = None
        self._publishing: asyncio.TimerHandle | None = None
        self._publish_took = 0.0
        self._fleet: Fleet | None = None
        self._beside = Beside.first(config)
        self._control = Child(
            "control",
            self._config,
            self._control_died,
            self._publish,
            on_report=self._follow_control,
            beside=lambda: self._beside,
        )
        self._tap = TapProcess(self._config, lambda: self._beside, self._narrator.died, self._publish)

    async def run(self, install: TritonInstall | None, demo: bool) -> None:
        """Start everything, show it, and stay until SIGINT or SIGTERM.

        Args:
            install: where the embedded Triton was unpacked; None for external ones.
            demo: whether the main job is shown once everything is ready.

        Raises:
            SetupError: something cannot start.
        """
        stop = on_signals()
        if not self._console.is_terminal:  # on a terminal SIGHUP says that it was closed, and ends everything
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._file.look_again)
        async with AsyncExitStack() as stack:
            await unless(stop, self._serve(install, demo, stack))
            self._console.print("Stopping: requests in flight are finished first ...")
        self._console.print("Stopped.")

    async def _serve(self, install: TritonInstall | None, demo: bool, stack: AsyncExitStack) -> None:
        await self._start(install, stack)
        if demo:
            await self._demonstrate()
        self._console.print("[bold]Serving.[/] Ctrl-C stops.")
        while True:
            await self._file.changed()
            await self._follow()

    async def _start(self, install: TritonInstall | None, stack: AsyncExitStack) -> None:
        stack.callback(self._beside.places.leave)
        with self._narrator.working("Starting"):
            if install is not None:
                await self._start_triton(install, stack)
            elif self._loaded.repository.fill_upstreams:
                stock = await self._open_stock(stack)
                await stock.use_upstreams(self._loaded.upstreams)
            stack.push_async_callback(self._control.stop, _CONTROL_STOP_SECONDS)
            self._begin_with(await self._control.start())
            self._keep_control_port()
            stack.push_async_callback(self._tap.stop)
            await self._tap.follow()
            self._fleet = Fleet(self._config, self._narrator.died, self._publish, lambda: self._beside)
            stack.push_async_callback(self._fleet.stop)
            await self._fleet.start()
            self._addresses |= self._fleet.addresses
            self._publish()
            if self._stock is not None:
                keeper = asyncio.create_task(self._stock.run(), name="repository")
                stack.push_async_callback(end, keeper)
            if self._triton is not None:
                await self._triton.wait_ready()
        self._publish()
        self._narrator.ready(self._addresses, time.monotonic() - self._started)
        if self._triton is None:
            upstreams = self._config().upstreams
            ready = await asyncio.gather(*(_is_ready(upstream) for upstream in upstreams))
            self._narrator.upstreams({each.label: is_ready for each, is_ready in zip(upstreams, ready, strict=True)})

    async def _open_stock(self, stack: AsyncExitStack) -> Stock:
        stock = Stock(self._loaded.repository, self._publish, self._narrator.news, self._on_event)
        stock.pin(self._pinned())
        self._stock = await stack.enter_async_context(stock)
        for name, problem in stock.problems.items():
            self._narrator.skipped(name, problem)
        return stock

    async def _start_triton(self, install: TritonInstall, stack: AsyncExitStack) -> None:
        stock = await self._open_stock(stack)
        repository = self._loaded.repository.path
        triton = EmbeddedTriton(
            self._loaded.triton, install, repository, asset("backends"), stock.served, self._on_event, stock.pins
        )
        self._triton = await stack.enter_async_context(triton)
        stock.use_embedded(triton)
        embedded = UpstreamSection(name="embedded", http=triton.http_address, grpc=triton.grpc_address)
        self._fixed["upstreams"] = (embedded,)

    def _begin_with(self, said: dict[str, Any]) -> None:
        """What control says when it starts: its address, and what it remembers of traffic."""
        self._addresses["control"] = said["control"]
        self._go_by(Snapshot.of(said["decided"]))

    def _follow_control(self, told: dict[str, Any]) -> None:
        """Control has decided something: the workers go by it, and a person hears of it."""
        decided = Snapshot.of(told["decided"])
        if decided != self._beside.decided:
            self._go_by(decided)
            if self._fleet is not None:
                self._fleet.tell(self._config())
        self._narrator.traffic(told["news"])

    async def _follow_with_tap(self) -> None:
        """Requests are served whether or not they can be recorded and compared."""
        try:
            await self._tap.follow()
        except SetupError as error:
            self._narrator.news(News(NewsKind.TROUBLE, message=f"nothing is recorded or compared: {error.message}"))

    def _pinned(self) -> dict[str, frozenset[int]]:
        """The versions that traffic is sent to by their number."""
        return pinned(self._loaded.traffic, self._beside.decided.aliases)

    def _go_by(self, decided: Snapshot) -> None:
        """Take over what control has decided."""
        self._beside = replace(self._beside, decided=decided)
        if self._stock is not None:
            self._stock.pin(self._pinned())

    def _config(self) -> Config:
        """What holds now: what was loaded, with what this run has decided."""
        return self._loaded.model_copy(update=self._fixed)

    def _keep_control_port(self) -> None:
        """Give a restarted control process the port that it got the first time; the workers' sockets stay open."""
        port = int(self._addresses["control"].rpartition(":")[2])
        self._fixed["control"] = self._loaded.control.model_copy(update={"port": port})

    async def _follow(self) -> None:
        """Read the configuration again; what can change while requests are served does."""
        try:
            found = change(self._loaded, self._file.read())
        except ConfigError as error:
            self._reload["error"] = error.message
            self._narrator.refused(error.message)
        else:
            self._loaded = found.config
            self._reload = {"error": None, "waiting": found.waiting}
            self._go_by(self._beside.decided)
            if found.applied and self._fleet is not None:
                self._control.mention({"traffic": self._loaded.traffic.model_dump(mode="json")})
                await self._follow_with_tap()
                self._fleet.tell(self._config())
            if "upstreams" in found.applied and self._stock is not None:
                await self._stock.use_upstreams(self._loaded.upstreams)
            self._narrator.reloaded(found.applied, found.waiting)
        self._publish()

    async def _demonstrate(self) -> None:
        http, grpc = reach(self._addresses["http"]), reach(self._addresses["grpc"])
        if not await run_demo(http, grpc, await self._ready_models(), self._console):
            self._console.print("[yellow]The demonstration did not give what it should; see above.[/]")

    async def _ready_models(self) -> list[str]:
        """The models that can be called through the gateway now."""
        if self._triton is not None:
            models = self._triton.status().models
            return [name for name, model in models.items() if model.state is ModelState.READY]
        reply = await _ask("POST", f"{reach(self._addresses['http'])}/v2/repository/index")
        rows = reply.json() if reply is not None and reply.status_code == 200 else []
        return [row["name"] for row in rows if row.get("state") == "READY"]

    def _on_event(self, event: Event) -> None:
        self._narrator.tell(event)
        self._publish()

    def _control_died(self, status: int, delay: float) -> None:
        self._narrator.died("control", status, delay)

    def _publish(self) -> None:
        """Tell the control process how things are, soon: a thousand models become ready in a thousand steps."""
        if self._publishing is None:
            pause = max(_PUBLISH_SECONDS, _PUBLISH_SHARE * self._publish_took)
            self._publishing = asyncio.get_running_loop().call_later(pause, self._publish_now)

    def _publish_now(self) -> None:
        self._publishing, started = None, time.monotonic()
        self._control.tell(
            {
                "version": version("triton-gateway"),
                "addresses": self._addresses,
                "processes": {"launcher": os.getpid(), "control": self._control.pid},
                "workers": self._fleet.status() if self._fleet is not None else [],
                "config": {"file": str(self._file.path) if self._file.path else None, **self._reload},
                "tap": self._tap.status(),
                "upstreams": [upstream.model_dump() for upstream in self._config().upstreams],
                "triton": self._triton.status().as_dict() if self._triton is not None else None,
                "repository": self._stock.status() if self._stock is not None else None,
            }
        )
        self._publish_took = time.monotonic() - started


async def _is_ready(upstream: UpstreamSection) -> bool:
    reply = await _ask("GET", f"{upstream.http}/v2/health/ready")
    return reply is not None and reply.status_code == 200


async def _ask(method: str, address: str) -> httpx.Response | None:
    """What an HTTP server says; None if nobody answers."""
    async with httpx.AsyncClient(trust_env=False, timeout=_ASK_SECONDS) as client:
        try:
            return await client.request(method, f"http://{address}")
        except (httpx.HTTPError, httpx.InvalidURL):
            return None

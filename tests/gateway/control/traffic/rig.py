"""Traffic with a clock that stands still, and the processes that report to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.applications import Starlette

from gateway.control.api import StatusBoard, create_api
from gateway.control.traffic.api import TrafficRoutes
from gateway.control.traffic.manager import Traffic
from gateway.traffic.latency import bin_of
from gateway.traffic.sections import TrafficSection

START = 1_700_000_000.0

SPLIT: dict[str, Any] = {
    "model": "iris",
    "targets": [{"model": "iris-old", "weight": 90}, {"model": "iris-new", "weight": 10}],
}
CANARY: dict[str, Any] = {
    "model": "fraud",
    "targets": [{"name": "old", "model": "fraud", "version": 1}, {"name": "new", "model": "fraud", "version": 2}],
    "canary": {"candidate": "new", "steps": [5, 50, 100], "bake_seconds": 60, "least_requests": 100},
}
SHADOW = "old~new"


def section(*routes: Mapping[str, Any], **more: Any) -> TrafficSection:
    return TrafficSection.model_validate({"routes": list(routes), **more})


@dataclass
class Clock:
    now: float = START

    def __call__(self) -> float:
        return self.now


@dataclass
class Worker:
    """What one data worker has counted of one route; it follows the snapshot as workers do."""

    life: str
    route: str = "fraud"
    variants: dict[str, dict[str, Any]] = field(default_factory=dict)
    mirrors: dict[str, dict[str, Any]] = field(default_factory=dict)
    revision: int = 0
    epoch: str = ""
    window: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)

    def follow(self, traffic: Traffic) -> None:
        override = traffic.snapshot.routes.get(self.route)
        self.revision, epoch = traffic.snapshot.revision, override.epoch if override else ""
        if epoch != self.epoch:
            self.epoch, self.window = epoch, {"variants": {}, "mirrors": {}}

    def served(self, variant: str, ok: int, failed: int = 0, seconds: float = 0.01) -> None:
        for variants in (self.variants, self.window.get("variants", {})):
            counts = variants.setdefault(variant, {"ok": 0, "failed": 0, "latency": {}})
            counts["ok"] += ok
            counts["failed"] += failed
            number = str(bin_of(seconds))
            counts["latency"][number] = counts["latency"].get(number, 0) + ok + failed

    def copied(self, ok: int, failed: int = 0) -> None:
        for mirrors in (self.mirrors, self.window.get("mirrors", {})):
            counts = mirrors.setdefault(SHADOW, {"ok": 0, "failed": 0})
            counts["ok"] += ok
            counts["failed"] += failed

    def report(self) -> dict[str, Any]:
        variants = {name: {"ok": each["ok"], "failed": each["failed"]} for name, each in self.variants.items()}
        more = {"timed_out": 1, "dropped": {"full": 2, "busy": 0, "broken": 0}, "latency": {"500": 3}}
        mirrors = {name: {**each, **more} for name, each in self.mirrors.items()}
        window = {"epoch": self.epoch, **self.window} if self.epoch else None
        route = {"variants": variants, "mirrors": mirrors, "window": window}
        told: dict[str, Any] = json.loads(
            json.dumps({"life": self.life, "revision": self.revision, "routes": {self.route: route}})
        )
        return told


def tap_report(epoch: str, agreed: int, differed: int, life: str = "tap-1") -> dict[str, Any]:
    counts = {"agreed": agreed, "differed": differed}
    compared = {**counts, "unreadable": 0, "window": {"epoch": epoch, **counts}}
    return {"life": life, "comparisons": {"fraud": {SHADOW: compared}}}


class Rig:
    """Traffic over one file, which may be begun again."""

    def __init__(self, folder: Path, configured: TrafficSection | None = None) -> None:
        self.clock, self.file = Clock(), folder / "state" / "traffic.json"
        self.section = configured or section(SPLIT, CANARY, aliases={"stable": "iris"})
        self.workers: list[Worker] = []
        self.traffic = self._begun()

    def _begun(self) -> Traffic:
        """Traffic that knows of nothing that candidates would have to wait for."""
        traffic = Traffic(self.section, self.file, self.clock, patience=0)
        traffic.hear({})
        traffic.tick()
        return traffic

    def restart(self) -> Traffic:
        """The control process died, and another one goes on."""
        self.traffic.close()
        self.traffic = self._begun()
        return self.traffic

    def worker(self, life: str, route: str = "fraud") -> Worker:
        worker = Worker(life, route)
        worker.follow(self.traffic)
        self.workers.append(worker)
        return worker

    def hear(self, tap: Mapping[str, Any] | None = None) -> None:
        workers = [{"name": f"data-{n}", "pid": 1, "traffic": each.report()} for n, each in enumerate(self.workers)]
        self.traffic.hear({"workers": [{"name": "data-9", "pid": None}, *workers], "tap": tap})

    def tick(self, seconds: float = 0.0) -> list[str]:
        """Let time pass; gives what was said about it."""
        last = self.traffic.news[-1].number if self.traffic.news else 0
        self.clock.now += seconds
        self.traffic.tick()
        for worker in self.workers:
            worker.follow(self.traffic)
        return [news.text for news in self.traffic.news if news.number > last]

    def app(self) -> Starlette:
        return create_api(StatusBoard(), TrafficRoutes(self.traffic))

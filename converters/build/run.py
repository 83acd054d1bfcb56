"""One build: everything that the configuration asks for, as far as it is not there yet, and the reports on it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from rich.console import Console

from converters.build.cache import StepCache
from converters.build.config import EnginesConfig
from converters.build.parallel import Crew
from converters.build.results import BuildResult
from converters.build.schedule import Job, Room, expected_mib
from converters.build.tools import versions
from converters.build.worker import Request
from converters.errors import ConfigError, ConversionError
from converters.graph.files import size_of
from converters.machine import Machine
from converters.nearest import nearest
from converters.progress import Display

CACHE = "cache"
_SPARE = 0.9  # of the free memory: what else runs here may grow


@dataclass(frozen=True, slots=True)
class Order:
    """What to build.

    Attributes:
        config: the whole configuration.
        base: the folder that its paths are relative to.
        only: names of models; empty means all.
    """

    config: EnginesConfig
    base: Path
    only: tuple[str, ...] = ()

    @property
    def output(self) -> Path:
        """The folder for reports and results."""
        return Path(os.path.normpath(self.base / self.config.output.expanduser()))  # as people would write it

    @property
    def cache(self) -> Path:
        """The folder of step results."""
        return self.output / CACHE

    def models(self) -> tuple[str, ...]:
        """The models to build, in the configuration's order.

        Raises:
            ConfigError: a name is none of the configuration's.
        """
        for name in self.only:
            if name not in self.config.models:
                raise ConfigError(f"there is no model {name!r}", hint=nearest(name, self.config.models))
        return tuple(name for name in self.config.models if not self.only or name in self.only)


def build(order: Order, console: Console) -> BuildResult:
    """Build, showing the progress.

    Raises:
        ConfigError: a name is unknown, or another build is at work in the same output.
        ConversionError: the output cannot be written.
        KeyboardInterrupt: after the workers were ended; what they had finished is kept, the rest is cleared away.
    """
    names = order.models()
    started_at, started, machine = datetime.now(UTC), monotonic(), Machine.here()
    display = Display(console)
    with alone(order.output), _cleared(StepCache(order.cache)), display.shown():
        jobs = _jobs(order, names)
        room = Room(
            order.config.jobs or max(1, min(machine.cores, len(jobs))),
            order.config.memory_mib or int(machine.memory_mib * _SPARE),
        )
        threads = max(1, machine.cores // min(room.jobs, len(jobs)))
        results = Crew(room, display.tell).build(
            jobs,
            lambda name: Request(
                order.config, order.base, name, order.cache, order.output / "logs" / f"{name}.log", threads
            ),
        )  # fmt: skip
    models = (replace(results[name], name=name, source=order.config.models[name].source) for name in names)
    return BuildResult(
        started_at=started_at.isoformat(timespec="seconds"),
        seconds=monotonic() - started,
        machine=str(machine),
        versions=versions(),
        models=tuple(models),
    )


def _jobs(order: Order, names: Sequence[str]) -> list[Job]:
    """The largest first, so that it is not left over when everything else is done."""
    jobs = list[Job]()
    for name in names:
        source = order.config.models[name].source
        path = order.base / source.rpartition(":")[0] if ".py:" in source else order.base / source
        parts = (path, *(order.base / each for each in order.config.models[name].depends))
        size = sum(size_of(each) for each in parts if each.exists())
        jobs.append(Job(name, expected_mib(_guess(source, path), size)))
    return sorted(jobs, key=lambda job: -job.memory_mib)


def _guess(source: str, path: Path) -> str:
    """The kind of a source by its name alone, without opening it."""
    if ".py:" in source:
        return "factory"
    if (path.is_dir() and (path / "saved_model.pb").exists()) or list(path.glob("*/model.savedmodel")):
        return "savedmodel"
    return {".keras": "keras", ".pt": "torchscript", ".jit": "torchscript", ".pt2": "exported"}.get(path.suffix, "onnx")


@contextmanager
def alone(output: Path) -> Iterator[None]:
    """Only one build at a time works in an output folder.

    Raises:
        ConfigError: another is at work there.
        ConversionError: the folder cannot be written.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        file = (output / ".lock").open("w")
    except OSError as error:
        raise ConversionError(
            f"{output} cannot be written ({error.strerror})", hint="make it writable, or set another folder: output"
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"another build is at work in {output}", hint="wait for it, or set another folder: output"
            ) from None
        yield


@contextmanager
def _cleared(cache: StepCache) -> Iterator[None]:
    """Without what killed workers left, before and after."""
    cache.clear_leftovers()
    try:
        yield
    finally:
        cache.clear_leftovers()

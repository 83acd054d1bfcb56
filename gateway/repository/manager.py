"""Keeps what is served the same as the repository's folder, whatever is dropped, changed or removed there.

One loop looks at what changed: drops go through the publisher, model folders are held against their records, and what
may be served is handed to the sites. The folder alone decides; a command of the command line or of the control API is
a change of the folder like any other, and a restart finds everything as it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from gateway.config import RepositorySection
from gateway.core.errors import GatewayError, ModelRefused, SetupError
from gateway.repository import drops
from gateway.repository.complete import Completer
from gateway.repository.drops import Drop, Signature
from gateway.repository.holdings import Holdings
from gateway.repository.pins import Pins
from gateway.repository.placement import Placement, SiteInfo, assign
from gateway.repository.progress import PREPARING, News, NewsKind, Progress, Work
from gateway.repository.publish import DropChanged, Publisher
from gateway.repository.site import Site, SiteModel
from gateway.repository.standing import as_dict, standing
from gateway.repository.store import Store
from gateway.repository.watch import Watcher

_log = logging.getLogger("gateway.repository")

_AGAIN_SECONDS = 30.0  # after what a person has to put right, such as a full disk
_BACK_SECONDS = 1.0  # between looks for a repository that went away
_NO_WORK = {"drop": None, "step": "", "since": ""}


@dataclass(frozen=True, slots=True)
class Place:
    """A site, with what placement rules know of it."""

    site: Site
    info: SiteInfo


class RepositoryManager:
    """Runs in the launcher, for as long as the gateway does.

    Args:
        store: the repository.
        section: how it is configured.
        on_change: told that `status` is another; must return at once.
        on_news: told what a person may want to hear; must return at once.
        again_seconds: how long until a drop is tried again that failed through no fault of its own.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - by name, and each a thing of its own
        self,
        store: Store,
        section: RepositorySection,
        on_change: Callable[[], None] = lambda: None,
        on_news: Callable[[News], None] = lambda _: None,
        again_seconds: float = _AGAIN_SECONDS,
        pins: Pins | None = None,
    ) -> None:
        self._section, self._on_change, self._again_seconds = section, on_change, again_seconds
        self._pins = pins or Pins()
        self._progress = Progress(on_change, on_news)
        self._holdings = Holdings(store, section)
        self._looking = asyncio.Lock()
        self._publisher = Publisher(store, self._sites_of, section.sandbox)
        self._completer = Completer(store, section)
        self._incomplete: set[str] = set()
        self._watcher = Watcher(section.path, section.settle_seconds)
        self._is_lost = False
        self._places: Sequence[Place] = ()
        self._placement: Placement = assign((), (), ())
        self._slots = asyncio.Semaphore(max(1, (os.cpu_count() or 2) // 2))
        self._wanted = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def holdings(self) -> Holdings:
        """The model folders that are there."""
        return self._holdings

    @property
    def served(self) -> Mapping[str, str]:
        """The models that can be served, each with a fingerprint of its files and of the versions that are pinned."""
        return {name: self._pins.mark(name, mark) for name, mark in self._holdings.served.items()}

    def use(self, places: Sequence[Place]) -> None:
        """Serve at these sites from now on."""
        self._places = places
        self.place()

    async def open(self) -> None:
        """Put right what a killed process left, and look at every model folder; nothing is served yet.

        Raises:
            SetupError: the repository cannot be read.
        """
        async with self._looking:
            self._tell(await asyncio.to_thread(self._holdings.open))
        self.place()

    async def run(self) -> None:
        """Follow the folder until cancelled; whatever goes wrong is told, and ends nothing else."""
        async with asyncio.TaskGroup() as self._tasks:
            self._start(self._serve_forever(), "serve models")
            while self._section.watch:
                try:
                    await self._follow()
                except (GatewayError, OSError) as error:
                    self._lose(_reason(error))
                except Exception as error:
                    _log.exception("the repository is followed anew")
                    self._lose(_reason(error))
                await asyncio.sleep(_BACK_SECONDS)

    def status(self) -> dict[str, Any]:
        """What the catalog and the command line tell of each model."""
        held = self._holdings
        sites = {place.info.name: place.site.states() for place in self._places}
        names = held.served.keys() | held.problems.keys() | self._progress.works.keys()
        models = {name: self._status_of(name, sites) for name in sorted(names)}
        return {"models": models, "error": held.error, "watched": self._section.watch}

    # ---- what changed

    async def _follow(self) -> None:
        """Look at what changes until the folder goes away."""
        if self._is_lost and await asyncio.to_thread(_is_empty, self._section.path):
            raise SetupError(f"{self._section.path} is empty, as a folder is on which nothing is mounted")
        self._watcher = Watcher(self._section.path, self._section.settle_seconds)
        for drop in await asyncio.to_thread(drops.find, self._section.path):
            self._touch(drop.files)  # somebody may be copying it just now
        self._touch(self._section.path / name for name in self._holdings.busy)
        async with contextlib.aclosing(self._watcher.settled()) as settled:
            async for changed in settled:
                await self._look(changed)
                self._is_lost = False

    def _lose(self, reason: str) -> None:
        """The folder cannot be followed: what is served stays, and nothing new comes until it is back."""
        error = f"the repository is not followed now: {reason}"
        if self._holdings.error != error:
            self._holdings.error = error
            self._tell([News(NewsKind.TROUBLE, message=error)])
        self._is_lost = True

    async def _look(self, changed: Collection[str]) -> None:
        """Look at entries that changed and are at rest, and at all drops."""
        found = await asyncio.to_thread(drops.find, self._section.path)
        for name in self._progress.works.keys() - {drop.name for drop in found}:
            if self._progress.works[name].state != PREPARING:
                self._progress.forget(name)
        for drop in found:
            await self._consider(drop, changed)
        names = [name for name in changed if not name.startswith(".")]
        for name in await asyncio.to_thread(lambda: list(filter(self._completer.needs, names))):
            self._incomplete.add(name)
            self._start(self._complete(name), f"complete {name}")
        await self._look_at([name for name in names if name not in self._incomplete])

    async def _complete(self, name: str) -> None:
        """Write what a hand-made configuration leaves out, before any Triton is told of the model."""
        async with self._slots:
            try:
                await self._completer.complete(name)
            except GatewayError as error:
                self._tell(
                    [News(NewsKind.TROUBLE, name, f"{name}: its configuration is incomplete, and {_reason(error)}")]
                )
        self._incomplete.discard(name)
        await self._look_at([name])

    async def _look_at(self, names: Collection[str]) -> None:
        """Look at model folders, and serve them as they are now."""
        async with self._looking:
            before = self._holdings.served, self._holdings.problems, self._holdings.error
            news = await asyncio.to_thread(self._holdings.look, names)
            after = self._holdings.served, self._holdings.problems, self._holdings.error
        self._tell(news)
        self._touch(self._section.path / name for name in self._holdings.busy)
        if before != after:
            self.place()

    async def _consider(self, drop: Drop, changed: Collection[str]) -> None:
        """Begin with a drop that is at rest and not known yet."""
        signature = await asyncio.to_thread(drops.signature, drop.files)
        if self._progress.is_known(drop, signature) or not self._has_rested(drop, changed):
            return
        if await asyncio.to_thread(drops.is_being_written, drop.files):
            self._touch(drop.files)
            return
        self._progress.begin(drop, signature)
        self._start(self._publish(drop, signature), f"publish {drop.name}")

    async def _publish(self, drop: Drop, signature: Signature) -> None:
        async with self._slots:
            try:
                version = await self._publisher.publish(drop, signature, partial(self._progress.step, drop.name))
            except Exception as error:
                await self._failed(drop, signature, error)
                return
        try:
            await self._look_at([drop.name])
        finally:
            self._progress.published(drop.name, version)
            self._touch(drop.files)  # what was written meanwhile is a drop of its own

    async def _failed(self, drop: Drop, signature: Signature, error: Exception) -> None:
        """A drop was not published: it waits for somebody to change it, or is looked at again by itself."""
        now = await asyncio.to_thread(drops.signature, drop.files)
        if isinstance(error, DropChanged) or now != signature:
            self._look_again(drop)
            return
        if not isinstance(error, (GatewayError, OSError)):
            _log.error("a drop could not be published", exc_info=error)
        self._progress.refused(drop.name, _reason(error))
        if not isinstance(error, ModelRefused):
            self._start(self._try_again(self._progress.works[drop.name]), f"try {drop.name} again")

    async def _try_again(self, work: Work) -> None:
        await asyncio.sleep(self._again_seconds)
        if self._progress.works.get(work.drop.name) is work:
            self._look_again(work.drop)

    def _look_again(self, drop: Drop) -> None:
        self._progress.forget(drop.name)
        self._touch(drop.files)

    def _has_rested(self, drop: Drop, changed: Collection[str]) -> bool:
        """Whether something of it, or of what it was before, has just come to rest, and nothing of it still changes."""
        known = self._progress.works.get(drop.name)
        entries = {self._watcher.entry_of(path) for path in (*drop.files, *(known.drop.files if known else ()))}
        return not entries & self._watcher.restless and bool(entries.intersection(changed))

    def _touch(self, files: Iterable[os.PathLike[str]]) -> None:
        for path in files:
            self._watcher.touch(self._watcher.entry_of(path))

    # ---- what is served

    def place(self) -> None:
        """Decide anew who serves what, and have it served."""
        infos = [place.info for place in self._places]
        before = self._placement.waiting
        self._placement = assign(self._holdings.served, infos, self._section.placement, self._holdings.gpus)
        for name in self._placement.waiting.keys() - before.keys():
            self._tell([News(NewsKind.TROUBLE, name, f"{name} waits: {self._placement.waiting[name]}")])
        self._wanted.set()
        self._on_change()

    async def _serve_forever(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            served = self.served
            for place in self._places:
                mine = self._placement.models.get(place.info.name, frozenset())
                models = {name: mark for name, mark in served.items() if name in mine}
                self._start(self._serve(place.site, models), f"serve at {place.info.name}")

    async def _serve(self, site: Site, models: Mapping[str, str]) -> None:
        """Tell a site what it is to serve; it is told anew before a slow load has ended."""
        with contextlib.suppress(GatewayError):  # its state says why
            await site.serve(models)
        self._on_change()

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        assert self._tasks is not None  # noqa: S101 - all begins with `run`
        self._tasks.create_task(self._guarded(work, name), name=name)

    async def _guarded(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """One piece of work that fails must not end the others."""
        try:
            await work
        except Exception as error:
            _log.exception("%s failed", name)
            self._tell([News(NewsKind.TROUBLE, message=f"{name} failed: {_reason(error)}")])

    def _tell(self, news: Iterable[News]) -> None:
        for each in news:
            self._progress.tell(each)

    def _sites_of(self, model: str) -> Sequence[Site]:
        return [place.site for place in self._places if model in self._placement.models.get(place.info.name, ())]

    def _status_of(self, name: str, places: Mapping[str, Mapping[str, SiteModel]]) -> dict[str, Any]:
        sites = {place: as_dict(models[name]) for place, models in places.items() if name in models}
        unplaced = self._placement.unplaced.get(name, "")
        problem = self._holdings.problems.get(name) or ("" if sites else unplaced)
        said = {**_NO_WORK, **standing(problem, sites, self._placement.waiting.get(name, unplaced))}
        if name in self._progress.works:
            said |= self._progress.as_dict(name)
        mark = self._holdings.served.get(name)
        fingerprint = None if mark is None else self._pins.mark(name, mark)
        return {**said, "fingerprint": fingerprint, "sites": sites}


def _reason(error: Exception) -> str:
    if isinstance(error, GatewayError):
        return error.message
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return f"because of a fault in the gateway: {error!r}"


def _is_empty(folder: os.PathLike[str]) -> bool:
    with os.scandir(folder) as entries:
        return not any(entries)

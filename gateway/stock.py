"""The model repository as the launcher runs it: its manager, and the Tritons that are filled from it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

from gateway.config import RepositorySection, UpstreamSection
from gateway.repository.hardware import Hardware
from gateway.repository.manager import Place, RepositoryManager
from gateway.repository.pins import Pins
from gateway.repository.placement import SiteInfo
from gateway.repository.progress import News
from gateway.repository.source import SourceFollower, open_source
from gateway.repository.store import Store
from gateway.triton.external import ExternalTriton
from gateway.triton.status import Event
from gateway.triton.supervise import EmbeddedTriton


class Stock:
    """What is in stock, and who serves it; an asynchronous context manager.

    Args:
        section: how the repository is configured.
        on_change: told that `status` is another; must return at once.
        on_news: told what a person may want to hear of the repository; must return at once.
        on_event: told what happens at an external Triton; must return at once.

    Attributes:
        pins: the versions that are loaded beside the served ones; change them with `pin`.
    """

    def __init__(
        self,
        section: RepositorySection,
        on_change: Callable[[], None],
        on_news: Callable[[News], None],
        on_event: Callable[[Event], None],
    ) -> None:
        self._section, self._on_event = section, on_event
        self._gpus = Hardware.here().gpus
        self.pins = Pins()
        store = Store(section.path, section.keep_versions, pinned=self.pins.of)
        self._manager = RepositoryManager(store, section, on_change, on_news, pins=self.pins)
        self._embedded: EmbeddedTriton | None = None
        self._source: SourceFollower | None = None
        if section.source is not None:
            source = open_source(section.source, section.path)
            self._source = SourceFollower(source, store, section.source_seconds, on_news)
        self._external: dict[UpstreamSection, tuple[ExternalTriton, AsyncExitStack]] = {}

    async def __aenter__(self) -> Stock:
        """Look at what is there.

        Raises:
            SetupError: the repository cannot be read.
        """
        await self._manager.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let go of the external Tritons; what is loaded stays loaded."""
        await self.use_upstreams(())

    @property
    def served(self) -> Mapping[str, str]:
        """The models that the embedded Triton can serve, each with a fingerprint of its files."""
        gpus = self._manager.holdings.gpus
        return {name: mark for name, mark in self._manager.served.items() if self._gpus or name not in gpus}

    @property
    def problems(self) -> Mapping[str, str]:
        """Why the other model folders may not be served."""
        return self._manager.holdings.problems

    def pin(self, versions: Mapping[str, frozenset[int]]) -> None:
        """Load these versions too, where they are there, from now on; and keep them when others are published."""
        if self.pins.use(versions):
            self._manager.place()

    def use_embedded(self, triton: EmbeddedTriton) -> None:
        """Serve with the embedded Triton."""
        self._embedded = triton
        self._manager.use([Place(triton, SiteInfo(triton.name, gpus=self._gpus))])

    async def use_upstreams(self, upstreams: Sequence[UpstreamSection]) -> None:
        """Fill these external Tritons from now on, and no others."""
        gone = [self._external.pop(each)[1] for each in self._external.keys() - set(upstreams)]
        for upstream in upstreams:
            if upstream not in self._external:
                stack = AsyncExitStack()
                triton = ExternalTriton(upstream, self._section.path, self._on_event, self.pins)
                self._external[upstream] = (await stack.enter_async_context(triton), stack)
        self._manager.use(
            [Place(triton, SiteInfo(each.label, each.labels)) for each, (triton, _) in self._external.items()]
        )
        for stack in gone:
            await stack.aclose()

    async def run(self) -> None:
        """Follow the repository until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._manager.run(), name="manage the repository")
            if self._source is not None:
                group.create_task(self._source.run(), name="follow the object store")

    def status(self) -> dict[str, Any]:
        """What the control process and the command line are told."""
        told = self._manager.status()
        for name, used in (self._embedded.memory() if self._embedded else {}).items():
            site = told["models"].get(name, {}).get("sites", {}).get(EmbeddedTriton.name)
            if site is not None:
                site["memory_mib"] = round(used / 2**20, 1)
        return {"path": str(self._section.path.absolute()), **told}

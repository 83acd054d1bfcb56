"""An external Triton as a site: it shares the repository's folder, and is told over its control API what to load.

    async with ExternalTriton(upstream, repository, on_event) as triton:
        await triton.serve({"magika": "a fingerprint"})

It runs with `--model-control-mode=explicit`. When it is down, or comes back without its models, they are loaded as soon
as it answers. Models that the repository does not know are never touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from gateway.config import UpstreamSection
from gateway.core.errors import GatewayError
from gateway.repository import rehearsal
from gateway.repository.checked import CheckedControl
from gateway.repository.model_control import ControlError
from gateway.repository.pins import Pins
from gateway.repository.reconcile import Reconciler
from gateway.repository.site import SiteModel
from gateway.repository.versions import latest
from gateway.triton.board import Board
from gateway.triton.control import TritonControl
from gateway.triton.status import Event

_LOAD_SECONDS = 300.0


class ExternalTriton:
    """A Triton that somebody else runs; an asynchronous context manager."""

    def __init__(
        self,
        upstream: UpstreamSection,
        repository: Path,
        on_event: Callable[[Event], None] = lambda _: None,
        pins: Pins | None = None,
        load_timeout: float = _LOAD_SECONDS,
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            upstream: where it is.
            repository: the model repository, whose folder is its own one too.
            on_event: told about every change of a model, in the event loop's thread; must return at once.
            pins: the versions that are loaded beside the served ones.
            load_timeout: how long one model may take, in seconds.
        """
        self.name = upstream.label
        self._repository = repository.absolute()
        self._control = TritonControl(upstream.http, upstream.grpc)
        self._board = Board("", on_event)
        self._desired: dict[str, str] | None = None
        self._reconciler = Reconciler(
            CheckedControl(self._control, self._repository, pins),
            load_timeout,
            self._board.model,
            on_settled=self._board.ready,
            latest=lambda model: latest(self._repository / model),
            strays=self._strays,
        )

    async def __aenter__(self) -> Self:
        """Connect, and begin to look."""
        await asyncio.to_thread(rehearsal.clear_forgotten, self._repository)
        await self._control.__aenter__()
        self._task = asyncio.create_task(self._run(), name=f"external triton {self.name}")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let go; what is loaded stays loaded."""
        self._task.cancel()
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        finally:
            await self._control.__aexit__()

    async def _run(self) -> None:
        try:
            await self._reconciler.run()
        except Exception as error:
            self._board.failed(
                f"{self.name} is not looked after any more, because of a fault in the gateway: {error!r}"
            )
            raise

    async def serve(self, models: Mapping[str, str]) -> None:
        """See `Site`."""
        self._desired = dict(models)
        self._board.busy()
        self._reconciler.desire(self._desired)
        await self.wait_settled()

    async def rehearse(self, model: str, folder: Path, sample: Sequence[Mapping[str, Any]]) -> None:
        """See `Site`."""
        name = rehearsal.candidate_name(model)
        try:
            await asyncio.to_thread(rehearsal.stage, folder, self._repository, name, rehearsal.take_whole)
            await self._reconciler.rehearse(name, sample)
        except (ControlError, GatewayError, OSError) as error:
            raise ControlError(str(error).replace(name, model)) from None
        finally:
            await asyncio.to_thread(shutil.rmtree, self._repository / name, ignore_errors=True)

    def states(self) -> Mapping[str, SiteModel]:
        """See `Site`."""
        return self._board.states()

    async def wait_settled(self) -> None:
        """See `Site`."""
        await self._board.settled.wait()

    def _strays(self, models: Iterable[str]) -> Iterable[str]:
        """Of models that are ready and not desired: those of the repository, and forgotten candidates."""
        if self._desired is None:
            return []
        return [model for model in models if rehearsal.is_candidate(model) != (self._repository / model).is_dir()]

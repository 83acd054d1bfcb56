"""Loads models of one Triton with an eye on its backend processes, which Triton itself does not keep.

If a backend process ends before it has said hello, because of a missing file for instance, Triton waits for it without
end. So a load is given up when its process is gone and the log says that it failed, and when its time is up.

And where the folder of one model is gone, Triton gives no index of any.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.repository.model_control import ControlError, IndexRow, ModelControl
from gateway.triton.log import LogReader
from gateway.triton.stubs import StubWatch

_LOOK_SECONDS = 0.25
_GONE_SECONDS = 2.0  # between the process that completes the configuration and the one that serves, it is milliseconds
_DYING_SECONDS = 0.1  # a process that is killed closes its connections a moment before it is gone
_CANCELLED_SECONDS = 30.0  # far longer than the guard takes to clear up
_EARLY_END = re.compile(
    r"Failed to preinitialize Python stub: (?P<stub>.+)"
    r"|bash: (?P<bash>.+)"
    r"|(?P<library>error while loading shared libraries: .+)"
)


class WatchedControl:
    """A `ModelControl` whose loads end even if Triton's do not."""

    def __init__(
        self, control: ModelControl, watch: StubWatch, log: LogReader, cover_gone: Callable[[], bool] = lambda: False
    ) -> None:
        """Prepare.

        Args:
            control: the Triton.
            watch: its backend processes.
            log: its log.
            cover_gone: puts something in the place of model folders that are gone; says whether there were any.
        """
        self._control, self._watch, self._log, self._cover_gone = control, watch, log, cover_gone

    async def live(self) -> bool:
        """See `ModelControl`."""
        return await self._control.live()

    async def load(self, model: str, timeout: float, config: str = "") -> None:
        """See `ModelControl`; the model's backend processes are known to the watch when this returns."""
        position = self._log.position()
        before = set(self._watch.of(model))  # they serve what is ready, and go on if this load fails
        gone_since = time.monotonic()
        loading = asyncio.ensure_future(self._control.load(model, timeout, config))
        try:
            while not (await asyncio.wait({loading}, timeout=_LOOK_SECONDS))[0]:
                self._watch.scan()
                if not before.issuperset(self._watch.of(model)):
                    gone_since = time.monotonic()
                elif time.monotonic() - gone_since > _GONE_SECONDS and (end := early_end(self._log.since(position))):
                    raise ControlError(f"its backend process ended before the model was loaded: {end}")
            await loading
            self._watch.scan()
        except ControlError:
            await self._rest_if_the_server_died()
            self._watch.scan()
            # Those of a load that takes too long; after any other failure there are none.
            self._watch.kill(stub for stub in self._watch.of(model) if stub not in before)
            raise
        finally:
            loading.cancel()

    async def _rest_if_the_server_died(self) -> None:
        """Do not blame a model for the death of the whole server, after which whoever loads it is cancelled."""
        await asyncio.sleep(_DYING_SECONDS)
        if not self._watch.server_is_alive():
            await asyncio.sleep(_CANCELLED_SECONDS)

    async def unload(self, model: str, timeout: float) -> None:
        """See `ModelControl`."""
        await self._control.unload(model, timeout)

    async def ready(self, model: str) -> bool:
        """See `ModelControl`."""
        return await self._control.ready(model)

    async def index(self) -> Sequence[IndexRow]:
        """See `ModelControl`."""
        try:
            return await self._control.index()
        except ControlError:
            if not self._cover_gone():
                raise
            return await self._control.index()

    async def infer(self, model: str, inputs: Sequence[Mapping[str, Any]], timeout: float) -> int:
        """See `ModelControl`."""
        return await self._control.infer(model, inputs, timeout)

    async def instances(self, model: str, version: str) -> int:
        """See `ModelControl`."""
        return await self._control.instances(model, version)


def early_end(log: str) -> str | None:
    """What a log says about a backend process that ended before it could say so to Triton."""
    match = None
    for match in _EARLY_END.finditer(log):  # noqa: B007 - the last one counts
        pass
    return next(filter(None, match.groups()), "").strip() if match else None

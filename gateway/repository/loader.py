"""Loads, tries out and unloads single models of one Triton, and finds out why that failed.

Triton's answer to a load is not to be trusted alone: it may say 200 to a second try after a failure, and of a broken
configuration it says only "failed to poll". So a load is verified, and its cause is looked up where it stands.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from gateway.repository.model_control import ControlError, IndexRow, ModelControl
from gateway.repository.model_index import Rows, cause_in, ready_versions, reason_of

_POLL_SECONDS = 0.05
NOT_READY = "Triton accepted the load, but the model is not ready"


class Loader:
    """The single steps, of which a few run at once."""

    def __init__(
        self, control: ModelControl, load_timeout: float, explain: Callable[[str], str | None], concurrency: int
    ) -> None:
        """Prepare.

        Args:
            control: the Triton.
            load_timeout: how long one model may take, in seconds.
            explain: the cause of a model's failure from elsewhere, such as Triton's log, or None.
            concurrency: how many models are loaded at once.
        """
        self._control, self._load_timeout, self._explain = control, load_timeout, explain
        self.slots = asyncio.Semaphore(concurrency)

    async def load(self, model: str) -> None:
        """Load one model, and see that it says it is ready; take one of the `slots` before.

        Raises:
            ControlError: it could not be loaded.
        """
        await self._control.load(model, self._load_timeout)
        if not await self._control.ready(model):
            raise ControlError(NOT_READY)

    async def unload(self, model: str) -> None:
        """Unload one model; it answers no more when this returns. Its memory may be freed a little later.

        Raises:
            ControlError: Triton refused, or took too long.
        """
        deadline = time.monotonic() + self._load_timeout
        await self._control.unload(model, self._load_timeout)
        while await self._control.ready(model):
            if time.monotonic() > deadline:
                raise ControlError(f"{model!r} was not unloaded within {self._load_timeout:g} s")
            await asyncio.sleep(_POLL_SECONDS)

    async def rehearse(
        self, candidate: str, sample: Sequence[Mapping[str, Any]], look: Callable[[], Awaitable[Rows]]
    ) -> None:
        """Load a model that nobody calls, ask it once, and unload it again.

        Args:
            candidate: a model of a name of its own.
            sample: the protocol's JSON `inputs`; empty to ask nothing.
            look: gives a new repository index.

        Raises:
            ControlError: something of it failed; the message is the cause.
        """
        rows: Sequence[IndexRow] = ()
        try:
            async with self.slots:
                await self.load(candidate)
            rows = (await look()).get(candidate, ())
            if not ready_versions(rows):
                raise ControlError(NOT_READY)
            if sample and not await self._control.infer(candidate, sample, self._load_timeout):
                raise ControlError("it answered the sample without any output")
        except ControlError as error:
            with contextlib.suppress(ControlError):
                rows = (await look()).get(candidate, ())
            raise ControlError(self.cause(candidate, str(error), rows)) from None
        finally:
            with contextlib.suppress(ControlError):
                await self.unload(candidate)

    def cause(self, model: str, message: str, rows: Sequence[IndexRow]) -> str:
        """Why a load failed, given what Triton said to it and the rows of its index."""
        if "failed to poll" not in message and message != NOT_READY:
            return reason_of(message)
        return reason_of(cause_in(rows) or self._explain(model) or message)

"""The last look before Triton loads a model: whether its files are still those that were published.

Every load goes through here, those after a restart of Triton too, and every byte is read: an unchanged time says
nothing about what somebody did to a file on purpose.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gateway.core.errors import ModelRefused
from gateway.repository import record
from gateway.repository.model_control import ControlError, IndexRow, ModelControl


class CheckedControl:
    """A `ModelControl` that loads only what is as it was published.

    Args:
        control: the Triton.
        repository: the model repository; models that have no folder in it are not checked.
    """

    def __init__(self, control: ModelControl, repository: Path) -> None:
        self._control, self._repository = control, repository

    async def live(self) -> bool:
        """See `ModelControl`."""
        return await self._control.live()

    async def load(self, model: str, timeout: float) -> None:
        """See `ModelControl`; it is refused before Triton hears of it."""
        problem = await asyncio.to_thread(why_not, self._repository / model)
        if problem:
            raise ControlError(problem)
        await self._control.load(model, timeout)

    async def unload(self, model: str, timeout: float) -> None:
        """See `ModelControl`."""
        await self._control.unload(model, timeout)

    async def ready(self, model: str) -> bool:
        """See `ModelControl`."""
        return await self._control.ready(model)

    async def index(self) -> Sequence[IndexRow]:
        """See `ModelControl`."""
        return await self._control.index()

    async def instances(self, model: str, version: str) -> int:
        """See `ModelControl`."""
        return await self._control.instances(model, version)

    async def infer(self, model: str, inputs: Sequence[Mapping[str, Any]], timeout: float) -> int:
        """See `ModelControl`."""
        return await self._control.infer(model, inputs, timeout)


def why_not(folder: Path) -> str | None:
    """Why a model may not be loaded, and what to do; None if it may.

    Folders that people keep by hand may change: only what was published is held against its record.
    """
    try:
        known = record.read(folder)
        if known is None or known.served is None or not known.versions[known.served].source:
            return None
        differences = concerning(known.served, record.verify(folder, known))
    except ModelRefused as error:
        return error.message
    except OSError as error:
        return f"{error.filename}: cannot be read ({error.strerror})"
    return tampered(folder.name, differences[0]) if differences else None


def concerning(served: int, differences: Sequence[str]) -> list[str]:
    """Of the lines of `record.verify` those about the version that Triton would take, or about one that is newer."""
    return [line for line in differences if _version_in(line) >= served]


def tampered(name: str, difference: str) -> str:
    """What is told of a published model whose files differ from its record."""
    return (
        f"its files are not those that were published: {difference}; add a changed model as a new version "
        f"(`triton-gateway models publish {name} FILE`), or take the files as they are with "
        f"`triton-gateway models validate {name} --accept`"
    )


def _version_in(difference: str) -> int:
    """The version that a line of `verify` is about; 0 for one that was set aside."""
    number = difference.partition(":")[0].partition("/")[0]
    return int(number) if number.isdecimal() else 0

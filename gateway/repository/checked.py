"""The last look before Triton loads a model: whether its files are still those that were published.

Every load goes through here, those after a restart of Triton too, and every byte is read: an unchanged time says
nothing about what somebody did to a file on purpose.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from gateway.core.errors import ModelRefused
from gateway.repository import record
from gateway.repository.model_control import ControlError, IndexRow, ModelControl
from gateway.repository.pins import Pins, configuration


class CheckedControl:
    """A `ModelControl` that loads only what is as it was published.

    Args:
        control: the Triton.
        repository: the model repository; models that have no folder in it are not checked.
        pins: the versions that are loaded beside the served ones.
    """

    def __init__(self, control: ModelControl, repository: Path, pins: Pins | None = None) -> None:
        self._control, self._repository, self._pins = control, repository, pins or Pins()
        self._overridden: set[str] = set()  # models that Triton has another configuration of than their folders

    async def live(self) -> bool:
        """See `ModelControl`."""
        return await self._control.live()

    async def load(self, model: str, timeout: float, config: str = "") -> None:
        """See `ModelControl`; it is refused before Triton hears of it."""
        folder, pinned = self._repository / model, self._pins.of(model)
        problem = await asyncio.to_thread(why_not, folder, pinned)
        if problem:
            raise ControlError(problem)
        if not config and (pinned or model in self._overridden):
            config = await asyncio.to_thread(_configuration, folder, pinned, model in self._overridden)
        await self._control.load(model, timeout, config)
        if pinned and config:
            self._overridden.add(model)
        else:
            self._overridden.discard(model)

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


def _configuration(folder: Path, pinned: frozenset[int], overridden: bool) -> str:
    """What is to be told to Triton beside the model's name.

    Of a folder that has not changed Triton keeps the configuration that it was given last, so it is given the folder's
    own when nothing is pinned any more.
    """
    try:
        return configuration(folder, pinned, always=overridden)
    except FileNotFoundError:
        return ""  # Triton says so
    except (ModelRefused, OSError) as error:
        raise ControlError(str(error)) from None


def why_not(folder: Path, pinned: Collection[int] = ()) -> str | None:
    """Why a model may not be loaded, and what to do; None if it may.

    Folders that people keep by hand may change: only what was published is held against its record.

    Args:
        folder: the model's.
        pinned: versions that are loaded beside the served one.
    """
    try:
        known = record.read(folder)
        if known is None or known.served is None or not known.versions[known.served].source:
            return None
        differences = concerning(known.served, record.verify(folder, known), pinned)
    except ModelRefused as error:
        return error.message
    except OSError as error:
        return f"{error.filename}: cannot be read ({error.strerror})"
    return tampered(folder.name, differences[0]) if differences else None


def concerning(served: int, differences: Sequence[str], pinned: Collection[int] = ()) -> list[str]:
    """Of the lines of `record.verify` those about a version that Triton would take, or about one that is newer."""
    return [line for line in differences if (version := _version_in(line)) >= served or version in pinned]


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

"""A repository whose models come from an object store: what is new there is dropped here, what is gone is removed.

The repository's folder is a cache then. Fetched models lie in it as drops and go the way of every drop; a model whose
objects were deleted is removed with all its versions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway.core.errors import GatewayError, ModelRefused
from gateway.repository.drops import SOURCE, belongings
from gateway.repository.objects import Changes, ObjectSource
from gateway.repository.progress import News, NewsKind
from gateway.repository.store import Store

_AGAIN_SECONDS = 1.0  # between the two listings that have to agree


class SourceFollower:
    """Asks an object store again and again.

    Args:
        source: the store and its mirror.
        store: the repository.
        seconds: how long to wait between two looks.
        tell: told what a person may want to hear.
    """

    def __init__(self, source: ObjectSource, store: Store, seconds: float, tell: Callable[[News], None]) -> None:
        self._source, self._store, self._seconds, self._tell = source, store, seconds, tell
        self._told: set[str] = set()

    async def run(self) -> None:
        """Follow until cancelled."""
        first = True
        while True:
            changes = await self._source.sync()
            self._say(changes)
            try:
                for model in await asyncio.to_thread(self._models_of, changes.removed):
                    await asyncio.to_thread(self._store.remove, model)
            except GatewayError as error:
                self._tell(News(NewsKind.TROUBLE, message=error.message))
            await asyncio.sleep(min(_AGAIN_SECONDS, self._seconds) if first or changes.waiting else self._seconds)
            first = False

    def _say(self, changes: Changes) -> None:
        """Tell of each trouble once, as long as it lasts."""
        troubles = {changes.problem} | {f"{name}: {reason}" for name, reason in changes.refused.items()} - {""}
        for trouble in sorted(troubles - self._told - {""}):
            self._tell(News(NewsKind.TROUBLE, message=trouble))
        self._told = troubles

    def _models_of(self, removed: Sequence[str]) -> set[str]:
        """The models that came from these entries: a folder has the model's name, a file more."""
        known = set(self._store.models())
        return {name for entry in removed for name in (entry, Path(entry).stem) if name in known}


def open_source(url: str, repository: Path) -> ObjectSource:
    """The object store of a repository.

    Raises:
        SetupError: there is no such kind of store, or it lacks a setting.
    """
    return ObjectSource(url, repository / SOURCE)


async def upload(source: ObjectSource, name: str, path: Path) -> None:
    """Put a model file or folder, with what belongs to it, into an object store under a model's name.

    Raises:
        ModelRefused: its files would not be known for one model there.
        SetupError: the store does not take it.
    """
    files = await asyncio.to_thread(belongings, path)
    stem = path.name if len(files) == 1 and not path.suffix else path.stem
    for each in files:
        if not each.name.startswith(stem):
            raise ModelRefused(
                f"{each.name} belongs to {path.name} but is called otherwise, so they would be told apart in the "
                f"object store; put both into a folder {name!r} and add that"
            )
    for each in reversed(files):  # the model itself last: when it is there, all of it is
        await source.upload(each, name + each.name.removeprefix(stem))


async def delete(source: ObjectSource, name: str) -> int:
    """Delete a model's objects: its folder, or its file with what lies beside it.

    Returns:
        How many objects there were.

    Raises:
        SetupError: the store does not allow it.
    """
    tops = {path.partition("/")[0] for path in await source.paths()}
    mine = [top for top in tops if name in (top, top.partition(".")[0], Path(top).stem)]
    return sum([await source.delete(top) for top in mine])

"""From a drop to a published version: prepared in the sandbox, tried out at its sites, and put in place by one rename.

Whatever fails before the rename leaves the version that is served untouched.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.config import SandboxSection
from gateway.core.errors import ModelRefused
from gateway.repository.description import Hints, Prepared
from gateway.repository.drops import Drop, Signature, signature
from gateway.repository.model_control import ControlError
from gateway.repository.sandbox import prepare
from gateway.repository.site import Site
from gateway.repository.store import Store
from gateway.repository.threads import staged, to_the_end

OnStep = Callable[[str], None]

_LARGEST_SAMPLE = 4096
"""Most elements of a sample that is kept with the model; example calls of others make their own."""


class DropChanged(ModelRefused):
    """Somebody wrote the drop while it was prepared: what was prepared is not what is there now."""

    def __init__(self, drop: Drop) -> None:
        super().__init__(f"{drop.source.name} was changed while it was looked at; try again when nobody writes it")


class Publisher:
    """Publishes drops, one after the other or several at a time.

    Args:
        store: the repository.
        sites: where a model of this name will be served.
        limits: of the sandbox.
        consume: whether a drop's files are removed once they are published.
    """

    def __init__(
        self, store: Store, sites: Callable[[str], Sequence[Site]], limits: SandboxSection, *, consume: bool = True
    ) -> None:
        self._store, self._sites, self._limits, self._consume = store, sites, limits, consume

    async def publish(self, drop: Drop, seen: Signature, on_step: OnStep, hints: Hints = Hints()) -> int:  # noqa: B008 - frozen
        """Make a drop the newest version of its model.

        Args:
            drop: what was dropped; nobody writes it any more.
            seen: the signature of its files.
            on_step: told what is being done.
            hints: what was said about it elsewhere than in its sidecars.

        Returns:
            The version's number; that of the served one if the very same drop was published as this.

        Raises:
            ModelRefused: it cannot be served; with the reason.
            DropChanged: it is another drop by now.
            SetupError: the repository cannot be written now.
            OSError: the drop cannot be read.
        """
        if drop.problem:
            raise ModelRefused(drop.problem)
        digest = await to_the_end(self._store.digest, drop.files)
        published = None if hints.inputs else await to_the_end(self._store.already_published, drop.name, digest)
        if published is not None:
            await to_the_end(self._take_away, drop, seen)
            return published
        async with staged(self._store) as scratch:
            prepared = await self._prepare(drop, scratch, hints, on_step)
            await self._rehearse(drop.name, prepared, scratch, on_step)
            if await to_the_end(signature, drop.files) != seen:
                raise DropChanged(drop)
            on_step("publishing")
            return await to_the_end(
                self._store.publish,
                drop.name,
                replace(prepared, sample=_kept(prepared.sample)),
                source=drop.source.name,
                consume=drop.files if self._consume else (),
                sha256=digest,
            )

    async def _prepare(self, drop: Drop, scratch: Path, hints: Hints, on_step: OnStep) -> Prepared:
        return await prepare(
            drop.source,
            drop.name,
            scratch,
            hints,
            self._limits,
            existing=_text(self._store.folder(drop.name) / "config.pbtxt"),
            on_progress=on_step,
        )

    async def _rehearse(self, name: str, prepared: Prepared, scratch: Path, on_step: OnStep) -> None:
        """Try a new version out wherever an older one takes requests; a model that is new disturbs nobody."""
        serving = [site for site in self._sites(name) if _serves(site, name)]
        if not serving:
            return
        on_step("trying it out beside the version that is served")
        into = scratch / "candidate"
        into.mkdir()
        candidate = await to_the_end(self._store.candidate, name, prepared.folder, into)
        for site in serving:
            try:
                await site.rehearse(name, candidate, prepared.sample)
            except ControlError as error:
                if _serves(site, name):  # else it has gone down, and there is nothing to keep safe
                    raise ModelRefused(
                        f"Triton ({site.name}) cannot serve the new version, and the old one stays: {error}"
                    ) from None

    def _take_away(self, drop: Drop, seen: Signature) -> None:
        """Remove what was published before and was dropped once more."""
        if not self._consume:
            return
        if signature(drop.files) != seen:
            raise DropChanged(drop)
        for path in drop.files:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _serves(site: Site, name: str) -> bool:
    found = site.states().get(name)
    return found is not None and bool(found.versions)


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None


def _kept(sample: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    return tuple(sample) if sum(len(each.get("data", ())) for each in sample) <= _LARGEST_SAMPLE else ()

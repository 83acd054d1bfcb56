"""Writes what a hand-made model folder leaves out of its configuration, so that a Triton that runs can load it.

A Triton that was started with complete configurations does not ask backends for the rest any more, and one that does is
slower. What people wrote stays as they wrote it.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.config import RepositorySection
from gateway.repository import config_text
from gateway.repository.description import Hints
from gateway.repository.drops import is_model_folder
from gateway.repository.holdings import fingerprint_of
from gateway.repository.sandbox import prepare
from gateway.repository.scan import installed_frameworks, look_at
from gateway.repository.store import Store
from gateway.repository.threads import staged, to_the_end

OnStep = Callable[[str], None]


class Completer:
    """Completes model folders.

    Args:
        store: the repository.
        section: how it is configured.
    """

    def __init__(self, store: Store, section: RepositorySection) -> None:
        self._store, self._section = store, section
        self._installed = installed_frameworks()
        self._tried: dict[str, str] = {}

    def needs(self, name: str) -> bool:
        """Whether a folder is a model of ours with an incomplete configuration that was not tried as it is now."""
        folder = self._section.path / name
        if not is_model_folder(folder):
            return False
        found = look_at(folder, self._section.frameworks, self._installed)
        ours = found.framework or found.backend == "python"
        if found.problem or not ours or config_text.is_complete(_text(self._section, name)):
            return False
        fingerprint = fingerprint_of(folder)
        if self._tried.get(name) == fingerprint:
            return False
        self._tried[name] = fingerprint
        return True

    async def complete(self, name: str, on_step: OnStep = lambda _: None) -> None:
        """Describe a model by its file, try it out, and write the rest of its configuration.

        Raises:
            ModelRefused: that is not possible; the folder stays as it is.
        """
        async with staged(self._store) as scratch:
            prepared = await prepare(
                self._section.path / name, name, scratch, Hints(), self._section.sandbox, on_progress=on_step
            )
            await to_the_end(self._store.configure, name, prepared)


def _text(section: RepositorySection, name: str) -> str:
    try:
        return (section.path / name / "config.pbtxt").read_text("utf-8", "replace")
    except OSError:
        return ""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from gateway.repository.site import FakeSite, Site

from .site_contract import CONTRACT, Rig


class FakeRig:
    """The double with a repository of empty version folders."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fake = FakeSite(repository=folder)
        self.site: Site = self._fake

    def make(self, model: str, version: int = 1, *, cause: str = "") -> Path:
        (self._folder / model / str(version)).mkdir(parents=True)
        if cause:
            self._fake.failures[model] = cause
        return self._folder / model

    def cure(self, model: str) -> None:
        del self._fake.failures[model]
        self._fake.retry()

    def elsewhere(self, *, cause: str = "") -> Path:
        if cause:
            self._fake.failures["add"] = cause
        return self._folder


@pytest.mark.parametrize("promise", CONTRACT, ids=lambda promise: promise.__name__)
async def test_the_fake_keeps_the_contract(promise: Callable[[Rig], Awaitable[None]], tmp_path: Path) -> None:
    await promise(FakeRig(tmp_path))


async def test_the_fake_tells_what_was_done() -> None:
    site = FakeSite("gpu-1")
    await site.serve({"add": "1"})
    await site.serve({"add": "1", "mul": "1"})
    await site.serve({"mul": "1"})
    assert site.name == "gpu-1"
    assert site.calls == [("load", "add"), ("load", "mul"), ("unload", "add")]

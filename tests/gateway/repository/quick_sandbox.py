"""Stands for the sandbox where a test is not about it: makes a servable folder of whatever it is given, at once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.repository import publish, record
from gateway.repository.description import Prepared
from tests.gateway.repository.store_models import make_prepared


def use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Publish without the real sandbox."""
    monkeypatch.setattr(publish, "prepare", _prepare)


async def _prepare(
    source: Path, name: str, scratch: Path, *_: object, on_progress: Callable[[str], None], **__: object
) -> Prepared:
    on_progress("loading the model")
    return make_prepared(scratch / "model", name, record.digest([source]))

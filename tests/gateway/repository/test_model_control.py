from collections.abc import Awaitable, Callable

import pytest

from gateway.repository.model_control import FakeControl, IndexRow, ModelControl

from .control_contract import CONTRACT


@pytest.mark.parametrize("promise", CONTRACT, ids=lambda promise: promise.__name__)
async def test_the_fake_keeps_the_contract(promise: Callable[[ModelControl], Awaitable[None]]) -> None:
    await promise(FakeControl(["add", "bad", "new"], {"bad": "Internal: no weights"}))


async def test_a_new_version_that_cannot_be_loaded_stands_beside_the_one_that_is_ready() -> None:
    control = FakeControl(["add"])
    await control.load("add", 1)
    control.versions["add"], control.failures["add"] = 2, "Internal: no weights"
    with pytest.raises(Exception, match="version 2 is at UNAVAILABLE"):
        await control.load("add", 1)
    assert await control.index() == [
        IndexRow("add", "1", "READY"),
        IndexRow("add", "2", "UNAVAILABLE", "Internal: no weights"),
    ]

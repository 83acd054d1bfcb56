"""Which event loops tests run on: those that a module names in `LOOPS`, or asyncio's."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

Loops = Mapping[str, Callable[[], asyncio.AbstractEventLoop]]


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Function) -> Loops:
    loops: Loops = getattr(item.module, "LOOPS", {"asyncio": asyncio.new_event_loop})
    return loops

"""Folder operations in threads, which are finished even if whoever waits for them is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

from gateway.repository.store import Store

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def to_the_end(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Run in a thread. Who is cancelled meanwhile waits for it: nothing may be cleared away under a thread's hands."""
    work = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        if not work.cancelled():
            work.exception()  # it is nobody's any more
        raise


@asynccontextmanager
async def staged(store: Store) -> AsyncIterator[Path]:
    """A scratch folder of the repository; its lock is waited for without holding up the event loop."""
    stack = ExitStack()
    try:
        yield await to_the_end(stack.enter_context, store.staging())
    finally:
        await to_the_end(stack.close)

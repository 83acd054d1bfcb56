"""A real embedded Triton for any test: `async with embedded_triton(repository, ["a_model"]) as triton`."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from rich.console import Console

from gateway.config import TritonSection
from gateway.triton.fetch import TritonInstall, default_cache_dir, ensure_triton
from gateway.triton.status import Event
from gateway.triton.supervise import EmbeddedTriton

BACKENDS = Path(__file__).parents[2] / "backends"

EmbeddedTritonFactory = Callable[..., AbstractAsyncContextManager[EmbeddedTriton]]


@pytest.fixture(scope="session")
def triton_install() -> TritonInstall:
    """Triton, unpacked in the user's own cache folder; fetched on the first use."""
    return ensure_triton(default_cache_dir(os.environ), Console(stderr=True))


@pytest.fixture
def embedded_triton(triton_install: TritonInstall, tmp_path: Path) -> EmbeddedTritonFactory:
    """Starts an embedded Triton on free ports and waits until it is ready.

    A model that fails to load does not raise: look at `triton.status().models`.
    """

    @asynccontextmanager
    async def start(
        repository: Path, models: Sequence[str], on_event: Callable[[Event], None] = lambda _: None
    ) -> AsyncIterator[EmbeddedTriton]:
        section = TritonSection(http_port=0, grpc_port=0, metrics_port=0, log_file=tmp_path / "triton.log")
        async with EmbeddedTriton(section, triton_install, repository, BACKENDS, models, on_event) as triton:
            await triton.wait_ready()
            yield triton

    return start

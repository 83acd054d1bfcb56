"""What the supervisor refuses before anything is started; `tests/integration/` runs it with the real Triton."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from gateway.config import TritonSection
from gateway.core.errors import SetupError
from gateway.triton import preflight
from gateway.triton.fetch import TritonInstall
from gateway.triton.supervise import EmbeddedTriton


def embedded(tmp_path: Path, **ports: int) -> EmbeddedTriton:
    section = TritonSection(**{"http_port": 0, "grpc_port": 0, "metrics_port": 0, **ports}, log_file=tmp_path / "log")
    install = TritonInstall(tmp_path / "no triton here", "2.51.0")
    return EmbeddedTriton(section, install, tmp_path, tmp_path / "backends", ["add"], lambda _: None)


async def start(triton: EmbeddedTriton) -> None:
    async with triton:
        pytest.fail("it started")


async def test_a_port_in_use_is_named_before_anything_is_started(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SetupError, match=rf"port {port} \(triton.grpc_port\) is in use"):
            await start(embedded(tmp_path, grpc_port=port))
    assert not (tmp_path / "log").exists()


async def test_numpy_2_is_refused_before_anything_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "_version_of", lambda _: "2.1.0")
    with pytest.raises(SetupError, match=r"numpy 2.1.0 is installed in .* pip install numpy==1.26.4"):
        await start(embedded(tmp_path))


async def test_a_triton_that_was_cleaned_up_is_said(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"tritonserver is missing; remove .* so that Triton is fetched again"):
        await start(embedded(tmp_path))

"""A gRPC proxy on grpc.aio that passes raw bytes on (`grpc_aio_proxy.py`), for the record."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.service import Service, free_ports, listens

_PROXY = Path(__file__).with_name("grpc_aio_proxy.py")


def start(upstream: str, folder: Path, on: Sequence[str]) -> Service:
    """Start it in front of `upstream`, a gRPC address."""
    address = f"127.0.0.1:{free_ports(1)[0]}"
    service = Service("grpc.aio", [*on, sys.executable, str(_PROXY), address, upstream], folder, grpc=address)
    return service.wait(lambda: listens(address), 20)

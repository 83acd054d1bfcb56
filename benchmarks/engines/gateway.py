"""The gateway itself, as `triton-gateway serve` runs it in front of an external Triton, with one worker."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.service import Service, ServiceError, free_ports, listens

HERE = Path(__file__).parents[2]


def overrides(schema: dict[str, Any], upstream: tuple[str, str], ports: Sequence[int], workers: int) -> list[str]:
    """The `--set` options, limited to what this version of the gateway knows.

    Args:
        schema: the JSON Schema of its configuration.
        upstream: HTTP and gRPC address.
        ports: for HTTP, gRPC and control.
        workers: processes that serve.
    """
    known, limits = schema["properties"], schema["$defs"]["LimitsSection"]["properties"]
    address = f"{{http: '{upstream[0]}', grpc: '{upstream[1]}'}}"
    values = [f"{key}.port={port}" for key, port in zip(("http", "grpc", "control"), ports, strict=True)]
    values += [f"{key}.host=127.0.0.1" for key in ("http", "grpc")]
    values.append(f"upstreams=[{address}]" if "upstreams" in known else f"upstream={address}")
    if "workers" in known:
        values.append(f"workers={workers}")
    if "max_buffered_bytes" in limits:  # 128 requests of 16 MB at a time are more than the default allows
        values.append(f"limits.max_buffered_bytes={8 * 2**30}")
    return [part for value in values for part in ("--set", value)]


def start(  # noqa: PLR0913 - one for each thing that differs between measurements
    upstream: tuple[str, str],
    folder: Path,
    on: Sequence[str],
    *,
    name: str = "gateway",
    source: Path = HERE,
    workers: int = 1,
) -> Service:
    """Start it in front of `upstream`.

    Args:
        upstream: HTTP and gRPC address.
        folder: for its log.
        on: a command prefix that places it on its cores.
        name: what it is called in results.
        source: the checkout whose gateway is started, so that two versions can be compared.
        workers: processes that serve.
    """
    http, grpc, control = free_ports(3)
    python = [sys.executable, "-m", "gateway.cli"]  # `-m` looks in the working directory first
    said = subprocess.run([*python, "config", "schema"], cwd=source, capture_output=True, text=True, check=False)
    if said.returncode:
        last = said.stderr.strip().splitlines()[-1:]
        raise ServiceError(f"{name} cannot be started: {' '.join(last)}")
    options = overrides(json.loads(said.stdout), upstream, (http, grpc, control), workers)
    service = Service(
        name, [*on, *python, "serve", *options], folder, cwd=source, http=f"127.0.0.1:{http}", grpc=f"127.0.0.1:{grpc}"
    )
    return service.wait(lambda: listens(service.http) and listens(service.grpc), 40)

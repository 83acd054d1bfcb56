"""Where an application finds the gateway, as far as the control API can tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_EVERYWHERE = frozenset({"0.0.0.0", "::", "[::]", ""})  # noqa: S104 - compared with, not listened on


def addresses_for(status: Mapping[str, Any], host: str) -> tuple[str, str] | None:
    """The HOST:PORT of the HTTP and of the gRPC front end; None before the launcher told them.

    Args:
        status: what the launcher told.
        host: by which the control API was called; front ends that listen on every address are there, too.
    """
    told = status.get("addresses") or {}
    if "http" not in told or "grpc" not in told:
        return None
    return _callable(told["http"], host), _callable(told["grpc"], host)


def _callable(address: str, host: str) -> str:
    listens, _, port = address.rpartition(":")
    name = host if listens in _EVERYWHERE else listens
    return f"[{name}]:{port}" if ":" in name and not name.startswith("[") else f"{name}:{port}"

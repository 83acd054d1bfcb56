"""A gateway that runs on this machine, as the command line sees it: through its control API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from gateway.config import Config
from gateway.core.errors import SetupError
from gateway.narrate import reach

_ASK_SECONDS = 5.0


def status_of(config: Config) -> dict[str, Any] | None:
    """The status of the gateway at `control.port`; None if there is none."""
    address = reach(f"{config.control.host}:{config.control.port}")
    try:
        reply = httpx.get(f"http://{address}/v1/status", timeout=_ASK_SECONDS, trust_env=False)
        reply.raise_for_status()
        told: dict[str, Any] = reply.json()
    except (httpx.HTTPError, ValueError):
        return None
    return told


def required_status_of(config: Config) -> dict[str, Any]:
    """The same.

    Raises:
        SetupError: no gateway answers.
    """
    told = status_of(config)
    if told is None:
        raise SetupError(
            f"no gateway answers at {config.control.host}:{config.control.port} (control.port); start one with "
            "`triton-gateway up`, or name another with --set control.port=PORT"
        )
    return told


def repository_status(config: Config) -> dict[str, Any] | None:
    """What a running gateway tells of this very repository; None if none runs that follows it."""
    told = (status_of(config) or {}).get("repository")
    if not told or Path(told["path"]).resolve() != config.repository.path.resolve():
        return None
    return dict(told)


def followed_status(config: Config) -> dict[str, Any] | None:
    """The same of a gateway that takes drops and notices changes; None if none does."""
    told = repository_status(config)
    return told if told and told.get("watched", True) else None

"""The control API: what an operator asks, answered by a process that no inference request passes through."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.control.guard import Guard
from gateway.core.errors import GatewayError, ModelRefused

_log = logging.getLogger("gateway.control")


@dataclass(slots=True)
class StatusBoard:
    """The last status that the launcher told."""

    status: dict[str, Any] = field(default_factory=dict)


class Part(Protocol):
    """A part of the API."""

    pages: ClassVar[Mapping[str, str]]
    """Where it begins: what is there, and its path."""

    def routes(self) -> Sequence[Route]:
        """What it answers."""
        ...


def create_api(board: StatusBoard, *parts: Part, hosts: Collection[str] = ()) -> Starlette:
    """The ASGI application of the control port.

    Args:
        board: the status, which is kept up to date elsewhere.
        parts: what else it answers.
        hosts: names by which the API may be called, beside localhost and addresses.
    """

    async def live(_: Request) -> Response:
        return JSONResponse({"live": True})

    async def status(_: Request) -> Response:
        if not board.status:
            return JSONResponse({"error": "no status yet; ask again in a second"}, status_code=503)
        return JSONResponse(board.status)

    async def index(request: Request) -> Response:
        base = str(request.base_url).rstrip("/")
        pages = {"status": "/v1/status"} | {name: path for part in parts for name, path in part.pages.items()}
        told = {name: f"{base}{path}" for name, path in pages.items()}
        return JSONResponse({"name": "triton-gateway control"} | told)

    return Starlette(
        routes=[
            Route("/", index),
            Route("/health/live", live),
            Route("/v1/status", status),
            *(route for part in parts for route in part.routes()),
        ],
        middleware=[Middleware(Guard, hosts=hosts)],
        exception_handlers={
            HTTPException: _refused,
            GatewayError: _failed,
            ClientDisconnect: _gone,
            Exception: _broken,
        },
    )


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for nothing else
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _failed(_: Request, error: Exception) -> Response:
    """What the repository answers: a conflict with what is there, or that it cannot be changed now."""
    assert isinstance(error, GatewayError)  # noqa: S101 - it is registered for nothing else
    return JSONResponse({"error": error.message}, 409 if isinstance(error, ModelRefused) else 503)


async def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=400)  # nobody reads it


async def _broken(_: Request, error: Exception) -> Response:
    _log.error("a request failed inside the control API", exc_info=error)
    return JSONResponse({"error": "failed inside the control API; its log says why"}, 500)

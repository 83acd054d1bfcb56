"""The control API: what an operator asks, answered by a process that no inference request passes through."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


@dataclass(slots=True)
class StatusBoard:
    """The last status that the launcher told."""

    status: dict[str, Any] = field(default_factory=dict)


def create_api(board: StatusBoard) -> Starlette:
    """The ASGI application of the control port."""

    async def live(_: Request) -> Response:
        return JSONResponse({"live": True})

    async def status(_: Request) -> Response:
        if not board.status:
            return JSONResponse({"error": "no status yet; ask again in a second"}, status_code=503)
        return JSONResponse(board.status)

    async def index(request: Request) -> Response:
        base = str(request.base_url).rstrip("/")
        return JSONResponse({"name": "triton-gateway control", "status": f"{base}/v1/status"})

    return Starlette(routes=[Route("/", index), Route("/health/live", live), Route("/v1/status", status)])

"""What the HTTP port shows outside the inference protocol: who answers here, and a refusal for everything else."""

from __future__ import annotations

from importlib.metadata import version

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


def pages() -> Starlette:
    """The ASGI application for paths outside `/v2`."""
    return Starlette(routes=[Route("/", _index)], exception_handlers={HTTPException: _refuse})


async def _index(request: Request) -> Response:
    base = str(request.base_url).rstrip("/")
    return JSONResponse(
        {
            "name": "triton-gateway",
            "version": version("triton-gateway"),
            "protocol": "Open Inference Protocol (KServe v2)",
            "ready": f"{base}/v2/health/ready",
            "models": f"POST {base}/v2/repository/index",
            "metadata": f"{base}/v2/models/MODEL",
            "infer": f"POST {base}/v2/models/MODEL/infer",
        }
    )


async def _refuse(_: Request, error: Exception) -> Response:
    """Starlette's own refusals in Triton's form."""
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for nothing else
    words = {404: "Not Found", 405: "Method Not Allowed"}
    return JSONResponse(
        {"error": words.get(error.status_code, error.detail)}, status_code=error.status_code, headers=error.headers
    )

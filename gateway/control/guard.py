"""Keeps web pages away from the control API, which has no passwords: a browser would carry their requests to it.

A page of another origin cannot send what changes anything, and a page whose name was pointed at this address (DNS
rebinding) cannot read anything either.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_JSON, _BINARY = "application/json", "application/octet-stream"
_UPLOADS = "/v1/models/"


class Guard:
    """An ASGI middleware that refuses what a web page may have sent.

    Args:
        app: answers what is let through.
        hosts: names by which the API may be called, beside localhost and addresses.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] = ()) -> None:
        self._app, self._hosts = app, frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        refused = None
        if scope["type"] == "http":
            refused = refusal(scope["method"], scope["path"], Headers(scope=scope), self._hosts)
        if refused is None:
            await self._app(scope, receive, send)
        else:
            status, message = refused
            await JSONResponse({"error": message}, status)(scope, receive, send)


def refusal(method: str, path: str, headers: Mapping[str, str], hosts: Collection[str]) -> tuple[int, str] | None:
    """Why a request is refused, as an HTTP status and a message; None if it is not.

    Args:
        method: of the request.
        path: of the request; only models are uploaded as they are, everything else is JSON.
        headers: of the request, by lower-case names.
        hosts: names by which the API may be called, beside localhost and addresses.
    """
    host = headers.get("host", "")
    if not _is_known(host, hosts):
        return 403, f"the control API is not called {host!r}; call it by an IP address, localhost or control.host"
    if method in _READING:
        return None
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
        return 403, f"web pages of {origin!r} may not change anything here"
    wanted = _BINARY if method == "PUT" and path.startswith(_UPLOADS) else _JSON
    if headers.get("content-type", "").partition(";")[0].strip().lower() != wanted:
        return 415, f"{method} wants the header `Content-Type: {wanted}`"
    return None


def _is_known(host: str, hosts: Collection[str]) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost" or name in hosts:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True

"""Routes, aliases and canaries over the control API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.control.bodies import read_body
from gateway.control.traffic import views
from gateway.control.traffic.manager import Traffic
from gateway.control.traffic.refusals import NotNow, NotThere, Refused
from gateway.control.traffic.steering import CANARY

_VERBS = ("pause", "resume", "abort", "promote", "restart")
_STATUS: dict[type[Refused], int] = {NotThere: 404, NotNow: 409, Refused: 422}

_Line = Annotated[str, Field(max_length=500, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*$")]


class _Said(BaseModel):
    """What may be said of every change."""

    model_config = ConfigDict(extra="forbid", strict=True)

    why: _Line = ""
    who: _Line = ""


class _Weights(_Said):
    weights: dict[str, float]


class _Switch(_Said):
    target: str


class _Alias(_Said):
    to: str


class TrafficRoutes:
    """The routes below `/v1/routes`, `/v1/aliases` and `/v1/canaries`.

    Args:
        traffic: what they tell of and change.
    """

    pages: ClassVar[Mapping[str, str]] = {
        "routes": "/v1/routes",
        "aliases": "/v1/aliases",
        "canaries": "/v1/canaries",
    }

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic

    def routes(self) -> list[Route]:
        """What is answered."""
        return [
            Route("/v1/routes", self._routes, methods=["GET"]),
            Route("/v1/routes/{name}", self._route, methods=["GET"]),
            Route("/v1/routes/{name}/weights", self._set_weights, methods=["PUT"]),
            Route("/v1/routes/{name}/switch", self._switch, methods=["POST"]),
            Route("/v1/routes/{name}/rollback", self._rollback, methods=["POST"]),
            Route("/v1/aliases", self._aliases, methods=["GET"]),
            Route("/v1/aliases/{name}", self._set_alias, methods=["PUT"]),
            Route("/v1/aliases/{name}", self._remove_alias, methods=["DELETE"]),
            Route("/v1/canaries", self._canaries, methods=["GET"]),
            Route("/v1/canaries/{name}", self._canary, methods=["GET"]),
            Route("/v1/canaries/{name}/{verb}", self._operate, methods=["POST"]),
        ]

    # ---- routes

    async def _routes(self, _: Request) -> Response:
        routes = [views.summary(route) for route in self._traffic.routes.values()]
        return JSONResponse({"routes": routes, **views.reach(self._traffic)})

    async def _route(self, request: Request) -> Response:
        return self._told_route(_name(request))

    async def _set_weights(self, request: Request) -> Response:
        name, asked = _name(request), await read_body(request, _Weights, _write('{"weights": {"TARGET": PERCENT}}'))
        _do(lambda: self._traffic.set_weights(name, asked.weights, asked.why, _who(request, asked)))
        return self._told_route(name)

    async def _switch(self, request: Request) -> Response:
        name, asked = _name(request), await read_body(request, _Switch, _write('{"target": "TARGET"}'))
        _do(lambda: self._traffic.switch(name, asked.target, asked.why, _who(request, asked)))
        return self._told_route(name)

    async def _rollback(self, request: Request) -> Response:
        name, asked = _name(request), await read_body(request, _Said, _write("{}"))
        _do(lambda: self._traffic.rollback(name, asked.why, _who(request, asked)))
        return self._told_route(name)

    def _told_route(self, name: str) -> Response:
        return JSONResponse(_do(lambda: views.details(self._traffic, name)))

    # ---- aliases

    async def _aliases(self, _: Request) -> Response:
        return JSONResponse({"aliases": self._traffic.aliases.as_list(), **views.reach(self._traffic)})

    async def _set_alias(self, request: Request) -> Response:
        name, asked = (
            _name(request),
            await read_body(request, _Alias, _write('{"to": "MODEL"} or {"to": "MODEL/VERSION"}')),
        )
        _do(lambda: self._traffic.set_alias(name, asked.to, asked.why, _who(request, asked)))
        return JSONResponse({"name": name, "to": asked.to, **views.reach(self._traffic)})

    async def _remove_alias(self, request: Request) -> Response:
        name, asked = _name(request), await read_body(request, _Said, _write("{}"))
        _do(lambda: self._traffic.remove_alias(name, asked.why, _who(request, asked)))
        return JSONResponse({"name": name, "to": None, **views.reach(self._traffic)})

    # ---- canaries

    async def _canaries(self, _: Request) -> Response:
        routes = [route for route in self._traffic.routes.values() if route.canary is not None]
        canaries = [views.canary_summary(route) for route in routes]
        return JSONResponse({"canaries": canaries, **views.reach(self._traffic)})

    async def _canary(self, request: Request) -> Response:
        return self._told_canary(_name(request))

    async def _operate(self, request: Request) -> Response:
        name, verb = _name(request), str(request.path_params["verb"])
        if verb not in _VERBS:
            raise HTTPException(404, f"a canary cannot be told to {verb!r}; it can: {', '.join(_VERBS)}")
        asked = await read_body(request, _Said, _write("{}"))
        operate = getattr(self._traffic, verb)
        _do(lambda: operate(name, asked.why, _who(request, asked)))
        return self._told_canary(name)

    def _told_canary(self, name: str) -> Response:
        return JSONResponse(_do(lambda: views.canary_details(self._traffic, name)))


_Result = TypeVar("_Result")


def _do(change: Callable[[], _Result]) -> _Result:
    try:
        return change()
    except Refused as error:
        raise HTTPException(_STATUS[type(error)], error.message) from None


def _name(request: Request) -> str:
    return str(request.path_params["name"])


def _who(request: Request, asked: _Said) -> str:
    """Who it says it is; nobody proves it on a port without passwords. Else where it comes from."""
    if asked.who == CANARY:
        raise HTTPException(422, f"who: {CANARY!r} is who the numbers decide for; name a person")
    return asked.who or (request.client.host if request.client else "")


def _write(shape: str) -> str:
    """What a request may say instead."""
    return f"write {shape}; `why` and `who`, one line each, may be added"

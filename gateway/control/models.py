"""The models over the control API: the catalog, what an application needs to call them, and changes of the folder.

Weights have no route: of a version's files there are names, sizes and sha256.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gateway.control.addresses import addresses_for
from gateway.control.bodies import read_body
from gateway.control.upload import AlreadyWaiting, Upload
from gateway.core.errors import ModelRefused, RequestTooLarge
from gateway.repository.catalog import Entry, entries, entry, nearest
from gateway.repository.description import Tensor
from gateway.repository.examples.calls import LANGUAGES, calls
from gateway.repository.examples.client import python_client
from gateway.repository.examples.openapi import openapi
from gateway.repository.hints import parse_input
from gateway.repository.record import ModelRecord

_REFUSED = "refused"


class Changes(Protocol):
    """What changes the repository, in a thread; `gateway.repository.store.Store` is one."""

    def rollback(self, name: str, to: int | None = None) -> int:
        """Serve an earlier version; gives its number."""

    def retire(self, name: str, version: int) -> None:
        """Take a version out of service."""

    def remove(self, name: str) -> None:
        """Delete a model with all its versions."""


class Reads(Protocol):
    """What reads the repository, in a thread; `gateway.repository.records.Records` is one."""

    def read(self) -> Mapping[str, ModelRecord]:
        """The record of each model."""


class Receives(Protocol):
    """What takes files; `gateway.control.upload.Uploads` is one."""

    def is_waiting(self, model: str) -> bool:
        """Whether there is an upload of this model that is not published."""

    def take_back(self, model: str) -> None:
        """Forget that upload."""

    async def receive(self, filename: str, inputs: list[Tensor], body: Any) -> Upload:
        """Take a file."""


class _Rollback(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    to: Annotated[int, Field(ge=1)] | None = None


class Models:
    """The routes below `/v1/models`.

    Args:
        changes: changes the repository.
        records: reads it.
        uploads: takes files for it.
        status: the last status that the launcher told; empty before the first.
    """

    pages: ClassVar[Mapping[str, str]] = {"models": "/v1/models"}

    def __init__(
        self, changes: Changes, records: Reads, uploads: Receives, status: Callable[[], Mapping[str, Any]]
    ) -> None:
        self._changes, self._records, self._uploads, self._status = changes, records, uploads, status
        self._reading = asyncio.Lock()

    def routes(self) -> list[Route]:
        """What is answered."""

        def route(path: str, method: str, answer: Callable[[Request], Awaitable[Response]]) -> Route:
            return Route(f"/v1/models{path}", answer, methods=[method])

        return [
            route("", "GET", self._list),
            route("/{name}", "GET", self._show),
            route("/{name}/versions", "GET", self._versions),
            route("/{name}/calls", "GET", self._calls),
            route("/{name}/client.py", "GET", self._client),
            route("/{name}/openapi.json", "GET", self._openapi),
            route("/{name}/rollback", "POST", self._rollback),
            route("/{name}/versions/{number:int}/retire", "POST", self._retire),
            route("/{name}", "DELETE", self._remove),
            route("/{name}", "PUT", self._upload),
        ]

    # ---- what is there

    async def _list(self, _: Request) -> Response:
        records, live = await self._read(), self._live()

        def render() -> Response:
            models = [each.summary() for each in entries(records, live)]
            return JSONResponse({"models": models, "error": live.get("error")})

        return await asyncio.to_thread(render)

    async def _show(self, request: Request) -> Response:
        return JSONResponse((await self._entry(request)).as_dict())

    async def _versions(self, request: Request) -> Response:
        found = await self._entry(request)
        return JSONResponse({"name": found.name, "versions": [version.as_dict() for version in found.versions]})

    async def _calls(self, request: Request) -> Response:
        found = await self._callable(request)
        texts = calls(found, *self._addresses(request))
        language = request.query_params.get("language")
        if language is None:
            return JSONResponse(texts)
        if language not in texts:
            raise HTTPException(404, f"there is no call in {language!r}; there are: {', '.join(LANGUAGES)}")
        return PlainTextResponse(texts[language])

    async def _client(self, request: Request) -> Response:
        found = await self._callable(request)
        file = re.sub(r"\W", "_", found.name)
        headers = {"content-disposition": f'attachment; filename="{file}_client.py"'}
        text = python_client(found, *self._addresses(request))
        return Response(text, media_type="text/x-python", headers=headers)

    async def _openapi(self, request: Request) -> Response:
        found = await self._callable(request)
        http, _ = self._addresses(request)
        return JSONResponse(openapi(found, f"http://{http}"))

    # ---- what changes it

    async def _rollback(self, request: Request) -> Response:
        found, asked = (
            await self._published(request),
            await read_body(request, _Rollback, 'it may be {} or {"to": VERSION}'),
        )
        if asked.to is not None:
            _must_have(found, asked.to)
        version = await asyncio.to_thread(self._changes.rollback, found.name, asked.to)
        return JSONResponse({"name": found.name, "version": version})

    async def _retire(self, request: Request) -> Response:
        found, number = await self._published(request), int(request.path_params["number"])
        _must_have(found, number)
        await asyncio.to_thread(self._changes.retire, found.name, number)
        return JSONResponse({"name": found.name, "retired": number})

    async def _remove(self, request: Request) -> Response:
        found = await self._entry(request)
        if await asyncio.to_thread(self._uploads.is_waiting, found.name):
            await asyncio.to_thread(self._uploads.take_back, found.name)
        elif not found.versions:
            raise HTTPException(409, f"{found.name} was never published; delete {found.drop} from the repository")
        if found.versions:
            await asyncio.to_thread(self._changes.remove, found.name)
        return JSONResponse({"name": found.name, "removed": True})

    async def _upload(self, request: Request) -> Response:
        filename = request.path_params["name"]
        try:
            inputs = [parse_input(text) for text in request.query_params.getlist("input")]
            await self._make_room(filename.rpartition(".")[0])
            taken = await self._uploads.receive(filename, inputs, request.stream())
        except AlreadyWaiting:
            raise
        except ModelRefused as error:
            raise HTTPException(422, error.message.removeprefix("--")) from None
        except RequestTooLarge as error:
            raise HTTPException(413, error.message) from None
        told = {"name": taken.model, "size_bytes": taken.size_bytes, "sha256": taken.sha256}
        return JSONResponse(told, 202, {"location": f"/v1/models/{taken.model}"})

    async def _make_room(self, name: str) -> None:
        """Forget an upload of this model that was refused: this one is to replace it."""
        live = (self._live().get("models") or {}).get(name) or {}
        if live.get("state") == _REFUSED:
            await asyncio.to_thread(self._uploads.take_back, name)

    # ---- what they have in common

    def _live(self) -> Mapping[str, Any]:
        return self._status().get("repository") or {}

    def _addresses(self, request: Request) -> tuple[str, str]:
        found = addresses_for(self._status(), request.url.hostname or "localhost")
        if found is None:
            raise HTTPException(503, "no status yet; ask again in a second")
        return found

    async def _read(self) -> Mapping[str, ModelRecord]:
        async with self._reading:
            return await asyncio.to_thread(self._records.read)

    async def _entry(self, request: Request) -> Entry:
        """The model that the path names."""
        name, live = str(request.path_params["name"]), self._live().get("models") or {}
        records = await self._read()
        if name in records or name in live:
            return entry(name, records.get(name), live.get(name) or {})
        near = nearest(name, {*records, *live})
        raise HTTPException(404, f"there is no model {name!r}" + (f"; did you mean {near!r}?" if near else ""))

    async def _published(self, request: Request) -> Entry:
        found = await self._entry(request)
        if not found.versions:
            raise HTTPException(409, f"{found.name}: there is no version of it yet ({found.state})")
        return found

    async def _callable(self, request: Request) -> Entry:
        """The model that the path names, if it is known how it is called."""
        found = await self._entry(request)
        if not found.inputs:
            why = f" ({found.reason})" if found.reason else ""
            raise HTTPException(409, f"{found.name}: its inputs are not known{why}")
        return found


def _must_have(found: Entry, number: int) -> None:
    numbers = [version.number for version in found.versions]
    if number not in numbers:
        there = ", ".join(map(str, numbers))
        raise HTTPException(404, f"{found.name}: there is no version {number}; there are: {there}")

"""What a request to the control API says: JSON of a known kind, bounded."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request

_LARGEST = 65536

Body = TypeVar("Body", bound=BaseModel)


async def read_body(request: Request, kind: type[Body], hint: str) -> Body:
    """The request's body as a `kind`; an empty one is `{}`.

    Args:
        request: the request.
        kind: what it may say.
        hint: what to write instead of what was wrong.

    Raises:
        HTTPException: it is too large (413), or says something else (422).
    """
    text = bytearray()
    async for chunk in request.stream():
        text += chunk
        if len(text) > _LARGEST:
            raise HTTPException(413, "the body is too large")
    try:
        return kind.model_validate_json(bytes(text) or b"{}")
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise HTTPException(422, f"{where}: {first['msg']}; {hint}") from None

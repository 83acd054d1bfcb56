from collections.abc import Iterator

import pytest
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import Request

from gateway.control.bodies import read_body


class Said(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    to: int | None = None


def request(*pieces: bytes) -> Request:
    rest: Iterator[bytes] = iter(pieces)

    async def receive() -> dict[str, object]:
        piece = next(rest, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


async def test_an_empty_body_says_nothing() -> None:
    assert await read_body(request(), Said, "") == Said()


async def test_a_body_may_come_in_pieces() -> None:
    assert await read_body(request(b'{"t', b'o": 3}'), Said, "") == Said(to=3)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'{"too": 1}', "too: Extra inputs are not permitted; write {}"),
        (b'{"to": "1"}', "to: Input should be a valid integer; write {}"),
        (b"[]", "the body: Input should be an object; write {}"),
    ],
)
async def test_what_was_wrong_is_told_with_what_to_write(body: bytes, detail: str) -> None:
    with pytest.raises(HTTPException) as caught:
        await read_body(request(body), Said, "write {}")
    assert (caught.value.status_code, caught.value.detail) == (422, detail)


async def test_a_body_has_a_bound() -> None:
    with pytest.raises(HTTPException) as caught:
        await read_body(request(*[b" " * 10_000] * 7), Said, "")
    assert caught.value.status_code == 413

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from gateway.frontends.asgi import respond
from gateway.frontends.http_head import parse


async def echo(request: Request) -> JSONResponse:
    body = (await request.body()).decode()
    return JSONResponse(
        {"url": str(request.url), "body": body, "seen": request.headers["x-a"]}, headers={"Connection": "x"}
    )


async def pieces(_: Request) -> StreamingResponse:
    return StreamingResponse(iter([b"a", b"b"]), status_code=201)


async def broken(_: Request) -> JSONResponse:
    raise ZeroDivisionError("secret")


APP = Starlette(routes=[Route("/echo", echo, methods=["POST"]), Route("/pieces", pieces), Route("/broken", broken)])


async def test_an_application_sees_the_request_and_its_answer_is_a_reply() -> None:
    head = parse(b"POST /echo?q=1 HTTP/1.1\r\nHost: here:1\r\nX-A: b\r\nContent-Length: 4\r\n\r\n")
    reply = await respond(APP, head, bytearray(b"body"), ("127.0.0.1", 80))
    assert reply.status == 200
    assert reply.body == b'{"url":"http://here:1/echo?q=1","body":"body","seen":"b"}'
    assert reply.metadata == ((b"content-type", b"application/json"),)


async def test_an_answer_in_pieces_is_put_together() -> None:
    reply = await respond(APP, parse(b"GET /pieces HTTP/1.1\r\nHost: x\r\n\r\n"), b"", ("127.0.0.1", 80))
    assert (reply.status, reply.body) == (201, b"ab")


async def test_a_page_that_fails_is_a_500_that_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    reply = await respond(APP, parse(b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n"), b"", ("127.0.0.1", 80))
    assert reply.status == 500
    assert b"secret" not in reply.body
    assert "ZeroDivisionError" in caplog.text

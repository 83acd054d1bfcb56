import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.frontends.server import HttpServer


async def test_requests_in_flight_finish_when_it_stops() -> None:
    arrived, finish = asyncio.Event(), asyncio.Event()

    async def slow(_: Request) -> Response:
        arrived.set()
        await finish.wait()
        return PlainTextResponse("done")

    server = HttpServer(Starlette(routes=[Route("/", slow)]), "127.0.0.1", 0, "http.port", drain_seconds=5)
    async with httpx.AsyncClient(trust_env=False) as client:
        await server.__aenter__()
        request = asyncio.create_task(client.get(f"http://127.0.0.1:{server.port}/"))
        await arrived.wait()
        stopping = asyncio.create_task(server.__aexit__())
        asyncio.get_running_loop().call_soon(finish.set)
        assert (await request).text == "done"
        await stopping
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://127.0.0.1:{server.port}/")

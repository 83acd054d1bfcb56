import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.core.errors import SetupError
from gateway.frontends.server import HttpServer, bind


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


def test_a_port_in_use_is_named() -> None:
    with bind("127.0.0.1", 0, "http.port") as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SetupError, match=rf"port {port} \(control.port\) on 127.0.0.1 is in use"):
            bind("127.0.0.1", port, "control.port")


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(SetupError, match=r"http.port: cannot listen on 203.0.113.77"):
        bind("203.0.113.77", 0, "http.port")


def test_ipv6_is_an_address_too() -> None:
    with bind("::1", 0, "http.port") as listening:
        assert listening.getsockname()[0] == "::1"

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.core.call import Call, Operation, Protocol, Reply
from gateway.frontends.http import HttpFrontend
from gateway.frontends.pages import pages
from gateway.frontends.server import HttpServer
from tests.gateway.conftest import FakeGateway


@pytest.fixture
async def client(fake_gateway: FakeGateway) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://{fake_gateway.http}", trust_env=False) as client:
        yield client


@contextlib.asynccontextmanager
async def connected(address: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    yield reader, writer
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def test_an_inference_reaches_triton_byte_for_byte(client: httpx.AsyncClient, fake_gateway: FakeGateway) -> None:
    body = b'{"inputs":[]}' + bytes(range(256))
    headers = {"Inference-Header-Content-Length": "13", "Content-Type": "application/octet-stream", "X-Secret": "s"}

    reply = await client.post("/v2/models/echo/versions/1/infer", content=body, headers=headers)

    assert (reply.status_code, reply.content) == (200, body)
    [call] = fake_gateway.upstream.calls
    assert (call.protocol, call.operation, call.model, call.version) == (Protocol.HTTP, Operation.INFER, "echo", "1")
    assert (call.body, call.head_len) == (body, 13)


async def test_a_body_in_pieces_is_put_together(client: httpx.AsyncClient, fake_gateway: FakeGateway) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"x" * 1000
            await asyncio.sleep(0)

    reply = await client.post("/v2/models/echo/infer", content=pieces())
    assert reply.content == b"x" * 5000


async def test_liveness_is_the_gateways_own(client: httpx.AsyncClient, fake_gateway: FakeGateway) -> None:
    await fake_gateway.upstream.aclose()
    assert (await client.get("/v2/health/live")).status_code == 200
    assert (await client.get("/v2/health/ready")).status_code == 503


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/v2/nope", 404, {"error": "Not Found"}),
        ("GET", "/nope", 404, {"error": "Not Found"}),
        ("DELETE", "/v2/models/echo/infer", 405, {"error": "Method Not Allowed"}),
        ("DELETE", "/", 405, {"error": "Method Not Allowed"}),
        ("GET", "/v2/models/nope", 404, {"error": "Request for unknown model: 'nope' is not found"}),
        ("GET", "/v2/models/nope/ready", 400, {"error": "Model version not ready"}),
    ],
)
async def test_refusals_are_tritons(
    client: httpx.AsyncClient, method: str, path: str, status: int, body: object
) -> None:
    reply = await client.request(method, path)
    assert (reply.status_code, reply.json()) == (status, body)


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_above_the_limit_is_refused_and_the_gateway_lives(
    client: httpx.AsyncClient, fake_gateway: FakeGateway, announced: bool
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 10_000

    reply = await client.post("/v2/models/echo/infer", content=b"x" * 200_000 if announced else pieces())

    assert reply.status_code == 413
    assert "200000 bytes exceeds the maximum of 100000 bytes" in reply.json()["error"]
    assert fake_gateway.upstream.calls == []
    assert (await client.post("/v2/models/echo/infer", content=b"{}")).status_code == 200


async def test_a_far_too_large_body_is_refused_before_it_is_sent(fake_gateway: FakeGateway) -> None:
    async with connected(fake_gateway.http) as (reader, writer):
        writer.write(b"POST /v2/models/echo/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n")
        assert (await reader.readline()).split()[1] == b"413"


async def test_a_client_that_expects_continue_is_refused_without_sending(fake_gateway: FakeGateway) -> None:
    head = b"POST /v2/models/echo/infer HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100001\r\n\r\n"
    async with connected(fake_gateway.http) as (reader, writer):
        writer.write(head)
        assert (await reader.readline()).split()[1] == b"413"


async def test_a_deadline_that_passes_is_504(client: httpx.AsyncClient, fake_gateway: FakeGateway) -> None:
    frontend = HttpFrontend(fake_gateway.upstream.infer, pages(), 1000, deadline_seconds=0.05)
    fake_gateway.upstream.gate.clear()
    async with HttpServer(frontend, "127.0.0.1", 0, "http.port", drain_seconds=1) as server:
        reply = await client.post(f"http://127.0.0.1:{server.port}/v2/models/echo/infer", content=b"{}")
    assert reply.status_code == 504
    assert "time was up" in reply.json()["error"]


async def test_a_body_that_never_arrives_is_504(fake_gateway: FakeGateway) -> None:
    frontend = HttpFrontend(fake_gateway.upstream.infer, pages(), 1000, deadline_seconds=0.05)
    async with (
        HttpServer(frontend, "127.0.0.1", 0, "http.port", drain_seconds=1) as server,
        connected(f"127.0.0.1:{server.port}") as (reader, writer),
    ):
        writer.write(b"POST /v2/models/echo/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        assert (await reader.readline()).split()[1] == b"504"


async def test_a_client_that_goes_away_leaves_nothing_behind(fake_gateway: FakeGateway) -> None:
    host, _, port = fake_gateway.http.rpartition(":")
    half = socket.create_connection((host, int(port)))
    half.sendall(b"POST /v2/models/echo/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
    half.close()
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"http://{fake_gateway.http}/v2/health/live")).status_code == 200
    assert fake_gateway.upstream.calls == []


async def test_every_reply_carries_a_request_id(client: httpx.AsyncClient) -> None:
    made = (await client.get("/v2")).headers["x-request-id"]
    assert len(made) == 16
    kept = await client.get("/v2/nope", headers={"x-request-id": "my-id.1"})
    assert kept.headers["x-request-id"] == "my-id.1"
    replaced = await client.get("/v2", headers={"x-request-id": 'evil "id"'})
    assert replaced.headers["x-request-id"] != 'evil "id"'


async def test_a_bug_is_a_500_that_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(call: Call) -> Reply:
        raise ZeroDivisionError("secret")

    async with (
        HttpServer(HttpFrontend(broken, pages(), 1000, 5), "127.0.0.1", 0, "http.port", drain_seconds=1) as server,
        httpx.AsyncClient(trust_env=False) as client,
    ):
        reply = await client.get(f"http://127.0.0.1:{server.port}/v2")

    assert reply.status_code == 500
    assert "secret" not in reply.text
    assert reply.headers["x-request-id"] in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_the_queries_are_not_part_of_the_path(client: httpx.AsyncClient) -> None:
    reply = await client.get("/v2?x=1")
    assert json.loads(reply.content)["name"] == "echo"

import asyncio
import gzip
import json
import logging
import zlib
from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.core.call import Call, Operation, Protocol, Reply, Sequence
from gateway.core.errors import DeadlineExceeded, Overloaded
from gateway.frontends.http import HttpFrontend
from gateway.frontends.intake import Intake
from tests.gateway.conftest import FakeGateway
from tests.gateway.frontends.http_rig import INFER, READY, Rig, Scripted, connected, current, post, serving


@pytest.fixture
async def upstream() -> Scripted:
    return Scripted()


@pytest.fixture
async def rig(upstream: Scripted) -> AsyncIterator[Rig]:
    async with serving(upstream) as rig:
        yield rig


@pytest.fixture
async def client(rig: Rig) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{rig.port}", trust_env=False) as client:
        yield client


async def test_an_inference_reaches_triton_byte_for_byte(client: httpx.AsyncClient, upstream: Scripted) -> None:
    body = b'{"inputs":[]}' + bytes(range(256))
    headers = {"Inference-Header-Content-Length": "13", "Content-Type": "application/octet-stream", "X-Secret": "s"}

    reply = await client.post("/v2/models/echo/versions/1/infer", content=body, headers=headers)

    assert (reply.status_code, reply.content) == (200, body)
    [call] = upstream.calls
    assert (call.protocol, call.operation, call.model, call.version) == (Protocol.HTTP, Operation.INFER, "echo", "1")
    assert (call.line, call.body, call.head_len) == (b"POST /v2/models/echo/versions/1/infer", body, 13)
    assert (b"x-secret", b"s") in call.metadata
    assert (call.peer, call.prefix) == ("127.0.0.1", "")


async def test_it_serves_the_fake_triton_as_the_application_is_wired(fake_gateway: FakeGateway) -> None:
    async with httpx.AsyncClient(base_url=f"http://{fake_gateway.http}", trust_env=False) as client:
        assert (await client.post("/v2/models/echo/infer", content=b"{}")).content == b"{}"
        assert (await client.get("/")).json()["name"] == "triton-gateway"
        assert (await client.get("/v2/models/nope")).status_code == 404


async def test_liveness_is_the_gateways_own_and_readiness_ends_first() -> None:
    async def unready(call: Call) -> Reply:
        return Reply(200)

    async with serving(Scripted(unready)) as rig, httpx.AsyncClient(trust_env=False) as client:
        base = f"http://127.0.0.1:{rig.port}/v2"
        assert (await client.get(f"{base}/health/ready")).status_code == 200
        rig.intake.close()
        assert (await client.get(f"{base}/health/live")).status_code == 200
        assert (await client.get(f"{base}/health/ready")).status_code == 400
        refused = await client.get(f"{base}/models/echo/ready")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/v2/nope", 404, {"error": "Not Found"}),
        ("GET", "/v2nope", 404, {"error": "Not Found"}),
        ("GET", "/nope", 404, {"error": "Not Found"}),
        ("POST", "/team-a/v2/models/echo/infer", 404, {"error": "Not Found"}),
        ("DELETE", "/team-a/v2", 404, {"error": "Not Found"}),
        ("OPTIONS", "/v2/models/echo/infer", 405, {"error": "Method Not Allowed"}),
        ("DELETE", "/v2/models/echo/infer", 405, {"error": "Method Not Allowed"}),
        ("DELETE", "/", 405, {"error": "Method Not Allowed"}),
    ],
)
async def test_what_is_not_in_the_table_is_refused(
    client: httpx.AsyncClient, method: str, path: str, status: int, body: object
) -> None:
    reply = await client.request(method, path)
    assert (reply.status_code, reply.json()) == (status, body)


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
@pytest.mark.parametrize("size", [10, 9_000])
async def test_a_compressed_body_goes_on_plain(
    client: httpx.AsyncClient, upstream: Scripted, encoding: str, pack: type[bytes], size: int
) -> None:
    plain = b"{}" + bytes(range(256)) * (size // 256)
    headers = {"Content-Encoding": encoding, "Inference-Header-Content-Length": "2"}
    reply = await client.post("/v2/models/echo/infer", content=pack(plain), headers=headers)
    assert (reply.status_code, reply.content) == (200, plain)
    [call] = upstream.calls
    assert call.head_len == 2
    assert not any(name == b"content-encoding" for name, _ in call.metadata)


async def test_a_large_compressed_body_is_unpacked_too(client: httpx.AsyncClient, upstream: Scripted) -> None:
    noise = json.dumps([hash((n, "x")) for n in range(8_000)]).encode()[:99_000] + b" " * 500
    packed = gzip.compress(b"{}" + noise, compresslevel=0)
    assert len(packed) > 64 * 2**10
    headers = {"Content-Encoding": "gzip", "Inference-Header-Content-Length": "2"}
    reply = await client.post("/v2/models/echo/infer", content=packed, headers=headers)
    assert reply.content == b"{}" + noise


@pytest.mark.parametrize(
    ("content", "encoding", "status"),
    [
        (b"not gzip", "gzip", 400),
        (gzip.compress(b"x" * 90_000), "gzip", 413),  # more than a hundred times its length
        (gzip.compress(bytes(range(256)) * 500), "gzip", 413),
        (b"{}", "br", 501),
    ],
)
async def test_a_body_that_cannot_be_unpacked_is_refused(
    client: httpx.AsyncClient, content: bytes, encoding: str, status: int
) -> None:
    reply = await client.post("/v2/models/echo/infer", content=content, headers={"Content-Encoding": encoding})
    assert reply.status_code == status
    assert "error" in reply.json()


async def test_the_head_of_an_inference_is_read(client: httpx.AsyncClient, upstream: Scripted) -> None:
    await client.post("/v2/models/echo/infer", json={"parameters": {"sequence_id": 7, "sequence_start": True}})
    assert upstream.calls[0].sequence == Sequence("7", start=True)
    shared = {"inputs": [{"name": "x", "parameters": {"shared_memory_region": "r"}}]}
    assert (await client.post("/v2/models/echo/infer", json=shared)).status_code == 403
    assert len(upstream.calls) == 1


async def test_a_body_where_none_belongs_is_not_passed_on(client: httpx.AsyncClient, upstream: Scripted) -> None:
    assert (await client.request("GET", "/v2/models/echo", content=b"x")).status_code == 200
    assert upstream.calls[0].body == b""


@pytest.mark.parametrize(("given", "seconds"), [("1500", 1.5), ("999999", 5.0), (None, 5.0)])
async def test_the_clients_time_counts_if_it_is_shorter(
    client: httpx.AsyncClient, upstream: Scripted, given: str | None, seconds: float
) -> None:
    headers = {"X-Request-Timeout-Ms": given} if given else {}
    await client.post("/v2/models/echo/infer", content=b"{}", headers=headers)
    assert seconds - 1 < upstream.calls[0].deadline.remaining() <= seconds


@pytest.mark.parametrize("given", ["0", "-1", "1.5", "soon", "", "9" * 13])
async def test_a_time_that_is_none_is_refused(client: httpx.AsyncClient, given: str) -> None:
    reply = await client.get("/v2", headers={"X-Request-Timeout-Ms": given})
    assert reply.status_code == 400
    assert "X-Request-Timeout-Ms" in reply.json()["error"]


@pytest.mark.parametrize(("error", "status"), [(DeadlineExceeded("time was up"), 504), (Overloaded("full"), 429)])
async def test_errors_on_the_way_are_replies(error: Exception, status: int) -> None:
    async def fail(call: Call) -> Reply:
        raise error

    async with serving(Scripted(fail)) as rig, connected(rig) as client:
        client.send(post(INFER, b"{}"), READY)
        assert (await client.answer()).status == status
        assert (await client.answer()).status == status


async def test_every_reply_carries_a_request_id(client: httpx.AsyncClient, upstream: Scripted) -> None:
    for path in ("/v2", "/v2/nope", "/", "/nope"):
        assert len((await client.get(path)).headers["x-request-id"]) == 16
        assert (await client.get(path, headers={"x-request-id": "my-id.1"})).headers["x-request-id"] == "my-id.1"
    replaced = await client.get("/v2", headers={"x-request-id": 'evil "id"'})
    assert replaced.headers["x-request-id"] == upstream.calls[-1].request_id != 'evil "id"'


async def test_a_bug_is_a_500_that_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(call: Call) -> Reply:
        raise ZeroDivisionError("secret")

    caplog.set_level(logging.ERROR)
    async with serving(Scripted(broken)) as rig, connected(rig) as client:
        client.send(READY)
        answer = await client.answer()
    assert answer.status == 500
    assert b"secret" not in answer.body
    assert answer.headers[b"x-request-id"].decode() in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_the_query_is_not_part_of_the_path(client: httpx.AsyncClient, upstream: Scripted) -> None:
    assert (await client.get("/v2?x=1")).status_code == 200
    assert upstream.calls[0].operation is Operation.SERVER_METADATA


async def test_a_request_is_served_with_what_was_current_when_it_began() -> None:
    gate = asyncio.Event()

    async def old(call: Call) -> Reply:
        await gate.wait()
        return Reply(200, body=b"old")

    async def new(call: Call) -> Reply:
        return Reply(200, body=b"new")

    first = Scripted(old)
    async with serving(first) as rig, connected(rig) as client, connected(rig) as other:
        client.send(READY)
        async with asyncio.timeout(5):
            while not first.calls:
                await asyncio.sleep(0)
        rig.current.serving = current(Scripted(new)).serving
        other.send(READY)
        assert (await other.answer()).body == b"new"
        gate.set()
        assert (await client.answer()).body == b"old"


async def test_what_it_holds_it_gives_back() -> None:
    intake = Intake(1000)
    frontend = HttpFrontend(current(Scripted()), intake)
    request = frontend.open(post(INFER, b"x" * 10)[:-10])
    assert frontend.admit(request) is None
    assert (intake.requests, intake.bytes_held) == (1, 10)
    frontend.hold(request, 300)
    assert intake.bytes_held == 300
    frontend.close(request)
    frontend.close(request)
    assert (intake.requests, intake.bytes_held) == (0, 0)


PREFIXED = "traffic={routes: [{model: echo, when: {path_prefix: /team-a/eu}}]}"


async def test_what_stands_before_the_path_goes_with_the_call_and_not_to_triton() -> None:
    upstream = Scripted()
    async with serving(upstream, PREFIXED) as rig, httpx.AsyncClient(trust_env=False) as client:
        base = f"http://127.0.0.1:{rig.port}/team-a/eu"
        assert (await client.post(f"{base}/v2/models/echo/infer", content=b"{}")).content == b"{}"
        assert (await client.get(f"{base}/v2?x=1")).status_code == 200
        assert (await client.get(f"{base}/v2/health/live")).status_code == 200
        assert (await client.get(f"{base}/v2/models/echo/nope")).status_code == 404
        assert (await client.get(f"{base}/v2/models/echo/infer")).status_code == 405
    infer, server = upstream.calls
    assert (infer.prefix, infer.line, infer.model) == ("/team-a/eu", b"POST /v2/models/echo/infer", "echo")
    assert (server.prefix, server.line) == ("/team-a/eu", b"GET /v2")


@pytest.mark.parametrize(
    "path", ["/team-a/v2", "/team-a/eu/x/v2/models/echo", "/team-a/eu/v2x", "//v2", "/team-a//eu/v2", "/team-a/eu/V2"]
)
async def test_what_no_route_asks_for_may_not_stand_there(path: str) -> None:
    upstream = Scripted()
    async with serving(upstream, PREFIXED) as rig, connected(rig) as client:
        client.send(b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody" % path.encode(), READY)
        answer = await client.answer()
        assert (answer.status, answer.body) == (404, b'{"error":"Not Found"}')
        assert (await client.answer()).status == 200
    assert [call.operation for call in upstream.calls] == [Operation.MODEL_READY]


async def test_the_first_v2_begins_the_path() -> None:
    upstream = Scripted()
    async with serving(upstream, PREFIXED) as rig, connected(rig) as client:
        client.send(b"GET /team-a/eu/v2/models/v2 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await client.answer()).status == 200
    assert (upstream.calls[0].model, upstream.calls[0].prefix) == ("v2", "/team-a/eu")


async def test_a_new_configuration_says_what_may_stand_before_the_path() -> None:
    async with serving(Scripted()) as rig, connected(rig) as client:
        for status, overrides in ((404, ()), (200, (PREFIXED,)), (404, ())):
            rig.current.serving = current(Scripted(), *overrides).serving
            client.send(b"GET /team-a/eu/v2 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await client.answer()).status == status

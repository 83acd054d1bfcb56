from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.core.call import Call, ClientStream, Reply
from gateway.core.errors import Overloaded
from gateway.frontends.cors import Cors, is_preflight, model_of, origin_of
from gateway.frontends.http_head import parse
from gateway.traffic.sections import CorsSection, PoliciesSection, RouteSection, TrafficSection
from tests.gateway.frontends.http_rig import Rig, Scripted, connected, post, serving

APP, EVIL = "https://app.example", "https://evil.example"
ROUTES = (
    "traffic={aliases: {latest: shop}, routes: ["
    "{name: plain, model: shop, when: {tenants: [a]}},"
    "{name: first, model: shop, when: {tenants: [b]}, policies: {cors: {origins: [https://app.example]}}},"
    "{name: later, model: shop, policies: {cors: {origins: ['*']}}},"
    "{model: open, policies: {cors: {origins: ['*'], headers: [], expose: [], max_age_seconds: 5}}},"
    "{model: mine, when: {path_prefix: /team-a},"
    " policies: {cors: {origins: [https://app.example], credentials: true}}}"
    "]}"
)


async def failing(call: Call) -> Reply:
    raise Overloaded("no room")


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with serving(Scripted(), ROUTES, "limits.deadline_seconds=5") as rig:
        yield rig


@pytest.fixture
async def client(rig: Rig) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{rig.port}", trust_env=False) as client:
        yield client


async def asked(client: httpx.AsyncClient, path: str, origin: str) -> httpx.Response:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-any"}
    return await client.options(path, headers=headers)


async def test_a_page_that_may_ask_is_told_how(client: httpx.AsyncClient) -> None:
    for path in ("/v2/models/shop/infer", "/v2/models/shop/versions/3/generate", "/v2/models/latest/infer"):
        reply = await asked(client, path, APP)
        assert (reply.status_code, reply.content) == (204, b"")
        del reply.headers["x-request-id"]
        assert dict(reply.headers) == {
            "access-control-allow-origin": APP,
            "access-control-allow-methods": "GET, POST",
            "access-control-allow-headers": "content-type, inference-header-content-length, x-request-id",
            "access-control-expose-headers": "inference-header-content-length, x-request-id",
            "access-control-max-age": "600",
            "vary": "origin",
        }


async def test_a_page_that_may_not_ask_is_told_nothing(client: httpx.AsyncClient) -> None:
    for origin in (EVIL, "null", "https://app.example.evil.example", "http://app.example", "HTTPS://APP.EXAMPLE"):
        reply = await asked(client, "/v2/models/shop/infer", origin)
        assert reply.status_code == 204
        assert set(reply.headers) == {"vary", "x-request-id"}


async def test_every_page_may_ask_where_every_page_may(client: httpx.AsyncClient) -> None:
    reply = await asked(client, "/v2/models/open/infer", EVIL)
    del reply.headers["x-request-id"]
    assert reply.status_code == 204
    assert dict(reply.headers) == {
        "access-control-allow-origin": "*",
        "access-control-allow-methods": "GET, POST",
        "access-control-max-age": "5",
    }


async def test_credentials_are_said_to_be_welcome_where_they_are(client: httpx.AsyncClient) -> None:
    reply = await asked(client, "/team-a/v2/models/mine", APP)
    assert reply.headers["access-control-allow-credentials"] == "true"
    assert (await asked(client, "/team-b/v2/models/mine", APP)).status_code == 404


@pytest.mark.parametrize(
    "path", ["/v2/models/other/infer", "/v2/repository/models/shop/load", "/v2/repository/index", "/v2", "/", "/docs"]
)
async def test_elsewhere_nobody_is_asked(client: httpx.AsyncClient, path: str) -> None:
    reply = await asked(client, path, APP)
    assert reply.status_code in (404, 405)
    assert not any(name.startswith("access-control") for name in reply.headers)


async def test_options_without_a_page_is_what_it_was(client: httpx.AsyncClient) -> None:
    for headers in ({}, {"Origin": APP}, {"Access-Control-Request-Method": "POST"}):
        reply = await client.options("/v2/models/shop/infer", headers=headers)
        assert (reply.status_code, reply.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v2/models/shop/infer", 200),
        ("GET", "/v2/models/shop", 200),
        ("GET", "/v2/models/shop/infer", 405),
        ("GET", "/v2/models/shop/nope", 404),
    ],
)
async def test_a_page_may_read_every_answer(client: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    reply = await client.request(method, path, headers={"Origin": APP})
    assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (status, APP)
    assert reply.headers["access-control-expose-headers"] == "inference-header-content-length, x-request-id"
    for origin in ({"Origin": EVIL}, {}):
        reply = await client.request(method, path, headers=origin)
        assert reply.status_code == status
        assert set(reply.headers) & {"vary", "access-control-allow-origin"} == {"vary"}


async def test_a_page_may_read_what_went_wrong() -> None:
    async with serving(Scripted(failing), ROUTES, "http.max_body_bytes=100") as rig:
        for body, status in ((b"{}", 429), (b"x" * 101, 413)):
            async with connected(rig) as client:
                client.send(post(b"/v2/models/shop/infer", body, b"Origin: " + APP.encode()))
                answer = await client.answer()
                assert (answer.status, answer.headers[b"access-control-allow-origin"]) == (status, APP.encode())


async def test_a_page_may_read_a_stream() -> None:
    async def stream(call: Call, client: ClientStream) -> Reply:
        await client.start(((b"content-type", b"text/event-stream"),))
        await client.send(b"data: {}\n\n")
        return Reply(200)

    async with serving(Scripted(stream=stream), ROUTES) as rig, connected(rig) as client:
        client.send(post(b"/v2/models/shop/generate_stream", b"{}", b"Origin: " + APP.encode()))
        answer = await client.answer()
    assert answer.headers[b"access-control-allow-origin"] == APP.encode()
    assert answer.body == b"data: {}\n\n"


async def test_the_connection_goes_on_after_a_preflight(rig: Rig) -> None:
    asks = b"OPTIONS /v2/models/shop/infer HTTP/1.1\r\nHost: x\r\nOrigin: %b\r\nAccess-Control-Request-Method: POST\r\n"
    async with connected(rig) as client:
        client.send(asks % APP.encode() + b"\r\n", post(b"/v2/models/shop/infer", b"{}"))
        assert (await client.answer()).status == 204
        assert (await client.answer()).body == b"{}"


def test_who_says_nothing_costs_nothing() -> None:
    assert Cors.of(TrafficSection(routes=(RouteSection(model="m"),))) is None


def test_aliases_come_and_go() -> None:
    policies = PoliciesSection(cors=CorsSection(origins=("*",)))
    section = TrafficSection(
        aliases={"a": "m/3", "b": "a", "c": "other"}, routes=(RouteSection(model="m", policies=policies),)
    )
    given = {"b": "", "d": "a", "round": "about", "about": "round"}
    cors = Cors.of(section, given)
    assert cors is not None
    said = {name: bool(cors.lines(name, b"https://x")) for name in ("m", "a", "b", "c", "d", "round", "other")}
    assert said == {"m": True, "a": True, "b": False, "c": False, "d": True, "round": False, "other": False}


@pytest.mark.parametrize(
    ("path", "model"),
    [
        (b"/v2/models/m", "m"),
        (b"/v2/models/m/versions/1/infer", "m"),
        (b"/v2/models/", ""),
        (b"/v2/models", ""),
        (b"/v2/repository/models/m/load", ""),
        (b"/v2", ""),
        (b"/v2/models/\xff", "\xff"),
    ],
)
def test_the_model_of_a_path(path: bytes, model: str) -> None:
    assert model_of(path) == model


def test_one_origin_asks_or_none() -> None:
    assert origin_of(((b"origin", b"a"), (b"x", b"y"))) == b"a"
    assert origin_of(()) == b""
    assert origin_of(((b"origin", b"a"), (b"origin", b"b"))) == b""
    head = b"%b / HTTP/1.1\r\nHost: x\r\nOrigin: a\r\nAccess-Control-Request-Method: PUT\r\n\r\n"
    assert [is_preflight(parse(head % method)) for method in (b"OPTIONS", b"POST")] == [True, False]

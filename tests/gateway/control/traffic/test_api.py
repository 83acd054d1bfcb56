from typing import Any

import httpx
import pytest

from tests.gateway.control.traffic.rig import Rig


@pytest.fixture
def client(rig: Rig) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(rig.app()), base_url="http://localhost:8082")


async def test_routes_are_listed_and_shown(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/v1/routes")).json()
    assert [route["name"] for route in listed["routes"]] == ["iris", "fraud"]
    assert (listed["revision"], listed["workers"]) == (2, 0)
    shown = (await client.get("/v1/routes/iris")).json()
    assert [(each["name"], each["weight"]) for each in shown["targets"]] == [("iris-old", 90), ("iris-new", 10)]


async def test_weights_are_set_switched_and_rolled_back(rig: Rig, client: httpx.AsyncClient) -> None:
    body = {"weights": {"iris-old": 50, "iris-new": 50}, "why": "half", "who": "ada"}
    told = (await client.put("/v1/routes/iris/weights", json=body)).json()
    assert told["weights"] == {"iris-old": 50, "iris-new": 50}
    assert told["history"][0]["who"] == "ada"
    told = (await client.post("/v1/routes/iris/switch", json={"target": "iris-new"})).json()
    assert told["weights"] == {"iris-old": 0, "iris-new": 100}
    assert told["history"][0]["who"] == "127.0.0.1"
    told = (await client.post("/v1/routes/iris/rollback", json={})).json()
    assert told["weights"] == rig.traffic.snapshot.routes["iris"].weights == {"iris-old": 50, "iris-new": 50}


async def test_aliases_are_set_and_taken_away(rig: Rig, client: httpx.AsyncClient) -> None:
    told = (await client.put("/v1/aliases/latest", json={"to": "fraud/2"})).json()
    assert (told["name"], told["to"], told["revision"]) == ("latest", "fraud/2", 3)
    listed = (await client.get("/v1/aliases")).json()["aliases"]
    assert [(each["name"], each["to"]) for each in listed] == [("latest", "fraud/2"), ("stable", "iris")]
    assert (await client.request("DELETE", "/v1/aliases/latest", json={"why": "x"})).json()["to"] is None
    assert rig.traffic.snapshot.aliases == {}


async def test_canaries_are_listed_shown_and_operated(rig: Rig, client: httpx.AsyncClient) -> None:
    [listed] = (await client.get("/v1/canaries")).json()["canaries"]
    assert (listed["name"], listed["phase"], listed["percent"]) == ("fraud", "running", 5)
    for verb, phase in (("pause", "paused"), ("resume", "running"), ("promote", "running"), ("abort", "aborted")):
        told = (await client.post(f"/v1/canaries/fraud/{verb}", json={"why": "because"})).json()
        assert (told["phase"], told["history"][0]["why"]) == (phase, "because")
    assert (await client.post("/v1/canaries/fraud/restart", json={})).json()["percent"] == 5
    assert (await client.get("/v1/canaries/fraud")).json()["evidence"]["candidate"]["ok"] == 0


async def test_a_body_may_be_left_out_but_not_its_type(client: httpx.AsyncClient) -> None:
    assert (await client.post("/v1/canaries/fraud/pause")).status_code == 415
    reply = await client.post("/v1/canaries/fraud/pause", headers={"content-type": "application/json"})
    assert reply.status_code == 200


async def test_the_index_points_to_them(client: httpx.AsyncClient) -> None:
    pages = (await client.get("/")).json()
    for page in ("routes", "aliases", "canaries"):
        assert (await client.get(pages[page])).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("GET", "/v1/routes/irsi", None, 404, "did you mean 'iris'"),
        ("PUT", "/v1/routes/iris/weights", {"weights": {"iris-old": 10}}, 422, "must sum to 100"),
        ("PUT", "/v1/routes/iris/weights", {"weights": {"x": 100}}, 404, "no target"),
        ("PUT", "/v1/routes/iris/weights", {"weights": {"iris-old": "10"}}, 422, "weights.iris-old"),
        ("PUT", "/v1/routes/iris/weights", {"weight": {}}, 422, 'write {"weights": {"TARGET": PERCENT}}'),
        ("PUT", "/v1/routes/iris/weights", [1], 422, "the body"),
        ("PUT", "/v1/routes/fraud/weights", {"weights": {"new": 100}}, 409, "canary abort fraud"),
        ("POST", "/v1/routes/iris/switch", {"target": "iris-odl"}, 404, "iris-old"),
        ("POST", "/v1/routes/iris/rollback", {}, 409, "nothing to roll back"),
        ("POST", "/v1/routes/iris/rollback", {"why": "two\nlines"}, 422, "why"),
        ("POST", "/v1/routes/iris/rollback", {"why": "x" * 501}, 422, "why"),
        ("POST", "/v1/routes/iris/switch", {"target": "iris-new", "who": "\x9b31m"}, 422, "who"),
        ("POST", "/v1/routes/iris/switch", {"target": "iris-new", "who": "a\u202eb"}, 422, "who"),
        ("POST", "/v1/routes/iris/switch", {"target": "iris-new", "who": "canary"}, 422, "name a person"),
        ("POST", "/v1/routes/iris/rollback", {"why": "x" * 70000}, 413, "too large"),
        ("PUT", "/v1/aliases/iris", {"to": "fraud"}, 422, "has a route already"),
        ("DELETE", "/v1/aliases/other", {}, 404, "no alias"),
        ("GET", "/v1/canaries/iris", None, 404, "has no canary"),
        ("POST", "/v1/canaries/fraud/resume", {}, 409, "paused is needed"),
        ("POST", "/v1/canaries/fraud/explode", {}, 404, "pause, resume, abort, promote, restart"),
    ],
)
async def test_mistakes_are_refused(
    rig: Rig, client: httpx.AsyncClient, method: str, path: str, body: Any, status: int, said: str
) -> None:
    before = rig.traffic.snapshot
    reply = await client.request(method, path, json=body)
    assert (reply.status_code, rig.traffic.snapshot) == (status, before), reply.text
    assert said in reply.json()["error"]

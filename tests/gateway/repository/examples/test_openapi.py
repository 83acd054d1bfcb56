import json
from typing import Any

import httpx
import pytest

from gateway.repository.catalog import Entry
from gateway.repository.examples.openapi import openapi
from tests.gateway.repository.examples.conftest import Called
from tests.gateway.repository.examples.models import ALL, BINARY_ANSWER, EVERYTHING, IRIS, LONG

BASE = "http://localhost:8080"


def request_of(document: dict[str, Any], name: str) -> Any:
    return document["paths"][f"/v2/models/{name}/infer"]["post"]["requestBody"]["content"]


@pytest.mark.parametrize("entry", ALL.values(), ids=ALL)
def test_it_is_a_document_of_openapi(entry: Entry) -> None:
    document = openapi(entry, BASE)
    assert json.loads(json.dumps(document)) == document
    assert document["openapi"] == "3.1.0"
    assert {"title", "version"} <= document["info"].keys()
    assert set(document["paths"]) == {
        f"/v2/models/{entry.name}{path}" for path in ("/infer", "/ready", "", "/config", "/stats")
    }
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == 5
    assert all("200" in operation["responses"] for operation in operations)


@pytest.mark.parametrize("entry", ALL.values(), ids=ALL)
def test_the_examples_are_as_the_schemas_say(entry: Entry) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    document = openapi(entry, BASE)
    infer = document["paths"][f"/v2/models/{entry.name}/infer"]["post"]
    for content, name in ((infer["requestBody"], "Request"), (infer["responses"]["200"], "Response")):
        for described in content["content"].values():
            if "example" in described:
                schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
                jsonschema.Draft202012Validator(schema).validate(described["example"])


@pytest.mark.parametrize("called", [IRIS], indirect=True)
async def test_the_example_can_be_sent_as_it_is(called: Called) -> None:
    document = openapi(IRIS, f"http://{called.http}")
    example = request_of(document, "iris")["application/json"]["example"]
    [server] = document["servers"]
    async with httpx.AsyncClient(base_url=server["url"]) as client:
        reply = await client.post("/v2/models/iris/infer", json=example)
        assert (await client.get("/v2/models/iris/ready")).status_code == 200
    assert reply.json()["outputs"][0]["name"] == "out"
    assert called.received[0]["x"].shape == (1, 4)


def test_a_long_tensor_is_no_example() -> None:
    assert "example" not in request_of(openapi(LONG, BASE), "echo")["application/json"]


def test_sixteen_bit_numbers_travel_behind_the_json() -> None:
    infer = openapi(EVERYTHING, BASE)["paths"]["/v2/models/echo/infer"]["post"]
    assert list(infer["requestBody"]["content"]) == ["application/octet-stream"]
    [header] = infer["parameters"]
    assert (header["name"], header["required"]) == ("Inference-Header-Content-Length", True)
    answer = openapi(BINARY_ANSWER, BASE)["paths"]["/v2/models/echo/infer"]["post"]["responses"]["200"]
    assert list(answer["content"]) == ["application/octet-stream"]
    assert "application/json" in request_of(openapi(BINARY_ANSWER, BASE), "echo")

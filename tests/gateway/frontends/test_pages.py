from importlib.metadata import version

import httpx

from gateway.frontends.pages import pages


def client(base_url: str = "http://gateway:8080") -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(pages()), base_url=base_url)


async def test_the_index_says_who_answers_and_where_to_go() -> None:
    page = (await client().get("/")).json()
    assert page["name"] == "triton-gateway"
    assert page["version"] == version("triton-gateway")
    assert page["ready"] == "http://gateway:8080/v2/health/ready"


async def test_everything_else_is_refused_in_tritons_form() -> None:
    assert (await client().get("/admin")).json() == {"error": "Not Found"}
    refused = await client().post("/")
    assert (refused.status_code, refused.json()) == (405, {"error": "Method Not Allowed"})
    assert "GET" in refused.headers["allow"]

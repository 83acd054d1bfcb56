from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from gateway.control.api import StatusBoard, create_api
from gateway.control.comparisons import Comparisons
from gateway.tap.report.model import Report, make_place, place_of
from tests.gateway.tap.report.reports import empty, full

AWKWARD = "a/../b c"


def put(folder: Path, report: Report) -> None:
    place = place_of(folder, report.route, report.mirror)
    make_place(place)
    (place / "report.json").write_bytes(report.encoded())


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    api = create_api(StatusBoard(), Comparisons(tmp_path / "reports"))
    transport = httpx.ASGITransport(api, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8082") as client:
        yield client


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "reports"
    put(folder, full())
    other = empty()
    other.mirror = AWKWARD
    put(folder, other)
    return folder


async def test_before_anything_was_compared_there_is_nothing(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/comparisons")).json() == {"comparisons": []}
    assert "Nothing is compared yet" in (await client.get("/comparisons")).text
    reply = await client.get("/v1/comparisons/ocr/ocr-2")
    assert reply.status_code == 404
    assert reply.json() == {"error": "nothing is known of route 'ocr' with 'ocr-2'; there are: none yet"}


async def test_reports_are_listed(client: httpx.AsyncClient, folder: Path) -> None:
    first, second = (await client.get("/v1/comparisons")).json()["comparisons"]
    assert (first["mirror"], first["agreement"], first["page"]) == (AWKWARD, None, "/comparisons/ocr/a%2F..%2Fb%20c")
    assert (second["baseline"], second["candidate"]) == ("ocr", "ocr-2 version 2")
    counts = full().counts
    assert (second["agreed"], second["differed"], second["agreement"]) == (
        counts.agreed, counts.differed, counts.agreement
    )  # fmt: skip


async def test_a_report_comes_in_every_form(client: httpx.AsyncClient, folder: Path) -> None:
    reply = await client.get("/v1/comparisons/ocr/ocr-2")
    assert Report.of(reply.json()).as_dict() == full().as_dict()
    text = await client.get("/v1/comparisons/ocr/ocr-2/report.md")
    assert text.headers["content-type"] == "text/markdown; charset=utf-8"
    assert text.text.startswith("# ocr: ")
    page = await client.get("/comparisons/ocr/ocr-2")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert 'href="/v1/comparisons/ocr/ocr-2/report.md"' in page.text


async def test_pages_lead_to_each_other(client: httpx.AsyncClient, folder: Path) -> None:
    overview = await client.get("/comparisons")
    assert overview.headers["content-security-policy"].startswith("default-src 'none'")
    assert 'href="/comparisons/ocr/ocr-2"' in overview.text
    assert 'href="/comparisons/ocr/a%2F..%2Fb%20c"' in overview.text
    page = await client.get("/comparisons/ocr/a%2F..%2Fb%20c")
    assert page.status_code == 200
    assert 'href="/comparisons"' in page.text
    assert (await client.get("/v1/comparisons/ocr/a%2F..%2Fb%20c/report.md")).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "ocr/%2e%2e", "%2e%2e/ocr", "%2e%2e/%2e%2e%2f%2e%2e%2fetc", "ocr/%2e%2e%2focr%2focr-2", "ocr/..%2f..%2fsecret",
        "ocr/%00", "ocr/ocr-2%2freport.json", "ocr/" + "x" * 300, "%2fetc/passwd",
    ],
)  # fmt: skip
async def test_no_name_leaves_the_folder(client: httpx.AsyncClient, folder: Path, path: str) -> None:
    put(folder.parent, full())
    (folder.parent / "secret").mkdir()
    (folder.parent / "secret" / "report.json").write_bytes(full().encoded())
    for base in ("/v1/comparisons/", "/comparisons/"):
        reply = await client.get(base + path)
        assert reply.status_code == 404
        assert str(folder.parent) not in reply.text


async def test_the_nearest_name_is_told(client: httpx.AsyncClient, folder: Path) -> None:
    reply = await client.get("/v1/comparisons/ocr/ocr-3")
    assert reply.json()["error"] == "nothing is known of route 'ocr' with 'ocr-3'; did you mean ocr/ocr-2?"


async def test_a_damaged_report_is_told_and_left_out(
    client: httpx.AsyncClient, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (place_of(folder, "ocr", "ocr-2") / "report.json").write_text("{")
    reply = await client.get("/v1/comparisons/ocr/ocr-2")
    assert reply.status_code == 500
    assert reply.json() == {"error": "the report of ocr/ocr-2 cannot be read; the log says why"}
    assert "cannot be read: it is no report of a comparison" in caplog.text
    assert [each["mirror"] for each in (await client.get("/v1/comparisons")).json()["comparisons"]] == [AWKWARD]
    assert "is left out: it is no report" in caplog.text


async def test_the_index_leads_here(client: httpx.AsyncClient) -> None:
    told = (await client.get("/")).json()
    assert told["comparisons"] == "http://localhost:8082/v1/comparisons"
    assert told["pages of comparisons"] == "http://localhost:8082/comparisons"

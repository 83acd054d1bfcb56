import httpx

from gateway.control.api import StatusBoard, create_api


def client(board: StatusBoard) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(create_api(board)), base_url="http://localhost:8082")


async def test_the_status_is_what_the_launcher_told_last() -> None:
    board = StatusBoard()

    assert (await client(board).get("/health/live")).json() == {"live": True}
    early = await client(board).get("/v1/status")
    assert (early.status_code, early.json()) == (503, {"error": "no status yet; ask again in a second"})

    board.status = {"triton": {"state": "ready"}}
    assert (await client(board).get("/v1/status")).json() == {"triton": {"state": "ready"}}


async def test_the_index_points_to_the_status() -> None:
    page = (await client(StatusBoard()).get("/")).json()
    assert page["status"] == "http://localhost:8082/v1/status"

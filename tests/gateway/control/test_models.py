import json
from collections.abc import AsyncIterable, Mapping
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import httpx
import pytest

from gateway.control.api import StatusBoard, create_api
from gateway.control.models import Models
from gateway.control.upload import AlreadyWaiting, Upload, Uploads
from gateway.core.errors import ModelRefused, RequestTooLarge, SetupError
from gateway.repository.description import Description, Tensor
from gateway.repository.drops import find
from gateway.repository.record import FileRecord, ModelRecord, VersionRecord
from gateway.repository.records import Records
from gateway.repository.store import Store
from tests.gateway.control.files import TREES

JSON = {"content-type": "application/json"}
BINARY = {"content-type": "application/octet-stream"}


class FakeRepository:
    """Stands for the folder: what is read from it, and what was done to it."""

    def __init__(self) -> None:
        self.records = {
            "iris": iris("iris"),
            "adopted": ModelRecord("adopted", {1: VersionRecord(1, "kept", "now")}, 1),
        }
        self.done: list[tuple[Any, ...]] = []
        self.problem: Exception | None = None
        self.waiting: set[str] = set()

    def read(self) -> Mapping[str, ModelRecord]:
        return dict(self.records)

    def rollback(self, name: str, to: int | None = None) -> int:
        self._do("rollback", name, to)
        return to or 1

    def retire(self, name: str, version: int) -> None:
        self._do("retire", name, version)

    def remove(self, name: str) -> None:
        self._do("remove", name)

    def is_waiting(self, model: str) -> bool:
        return model in self.waiting

    def take_back(self, model: str) -> None:
        self.waiting.discard(model)
        self._do("take back", model)

    async def receive(self, filename: str, inputs: list[Tensor], body: AsyncIterable[bytes]) -> Upload:
        content = b"".join([chunk async for chunk in body])
        self._do("receive", filename, inputs, content)
        return Upload(filename.partition(".")[0], len(content), "5ha")

    def _do(self, *what: Any) -> None:
        if self.problem:
            raise self.problem
        self.done.append(what)


def iris(name: str) -> ModelRecord:
    tensors = (Tensor("x", "FP32", (-1, 4)),), (Tensor("label", "INT64", (-1,)),)
    about = json.loads(json.dumps(Description("onnx", "onnxruntime", "onnx", *tensors, True, "model.onnx").as_dict()))
    sample = ({"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [5.1, 3.5, 1.4, 0.2]},)
    first = VersionRecord(
        1, "kept", "2026-01-01T00:00:00+00:00", "iris.onnx", "ab", {"model.onnx": FileRecord("cd", 700, 1, 1)}, about,
        ({"name": "loads", "detail": "", "seconds": 0.1},), sample,
    )  # fmt: skip
    return ModelRecord(name, {1: first, 2: replace(first, version=2)}, 2)


class Api:
    """The control API over a fake repository."""

    def __init__(self) -> None:
        self.repository, self.board = FakeRepository(), StatusBoard()
        self.board.status = {
            "addresses": {"http": "0.0.0.0:8080", "grpc": "127.0.0.1:8081"},
            "repository": {
                "models": {
                    "iris": {"state": "ready", "sites": {"embedded": {"state": "ready", "versions": [2]}}},
                    "new": {"state": "refused", "reason": "it is cut short", "drop": "new.onnx", "sites": {}},
                },
                "error": None,
            },
        }
        models = Models(self.repository, self.repository, self.repository, lambda: self.board.status)
        app = create_api(self.board, models, hosts={"ops.example"})
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://localhost:8082")

    async def get(self, path: str) -> Any:
        reply = await self.client.get(f"/v1/models{path}")
        assert reply.status_code == 200, reply.text
        return reply.json()


@pytest.fixture
def api() -> Api:
    return Api()


async def refused(reply: httpx.Response, status: int) -> str:
    assert reply.status_code == status, reply.text
    return str(reply.json()["error"])


async def test_the_catalog_has_models_and_drops(api: Api) -> None:
    listed = await api.get("")
    assert [(model["name"], model["state"]) for model in listed["models"]] == [
        ("adopted", "unknown"), ("iris", "ready"), ("new", "refused")
    ]  # fmt: skip
    assert listed["models"][1]["serving"] == [2]
    assert listed["error"] is None


async def test_one_model_is_told_in_full(api: Api) -> None:
    shown = await api.get("/iris")
    assert shown["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4], "optional": False, "labels": ""}]
    assert [(version["version"], version["state"]) for version in shown["versions"]] == [(2, "serving"), (1, "kept")]
    assert (await api.get("/new"))["reason"] == "it is cut short"


async def test_of_weights_there_are_names_and_hashes_and_no_more(api: Api) -> None:
    versions = (await api.get("/iris/versions"))["versions"]
    assert versions[0]["files"] == {"model.onnx": {"sha256": "cd", "size": 700}}
    for path in ("/iris/versions/1", "/iris/versions/1/model.onnx", "/iris/1/model.onnx", "/iris/model.onnx"):
        assert (await api.client.get(f"/v1/models{path}")).status_code == 404


async def test_calls_go_where_the_gateway_is(api: Api) -> None:
    texts = await api.get("/iris/calls")
    assert list(texts) == ["curl", "python-http", "python-grpc", "javascript"]
    assert "http://localhost:8080/v2/models/iris/infer" in texts["curl"]
    assert "127.0.0.1:8081" in texts["python-grpc"]
    reply = await api.client.get("/v1/models/iris/calls?language=curl")
    assert reply.text == texts["curl"]
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    said = await refused(await api.client.get("/v1/models/iris/calls?language=perl"), 404)
    assert "there are: curl, python-http, python-grpc, javascript" in said


async def test_a_client_is_a_file_to_download(api: Api) -> None:
    reply = await api.client.get("/v1/models/iris/client.py")
    assert reply.headers["content-disposition"] == 'attachment; filename="iris_client.py"'
    assert "class Iris:" in reply.text
    assert '"http": "localhost:8080"' in reply.text


async def test_openapi_names_the_gateway(api: Api) -> None:
    document = await api.get("/iris/openapi.json")
    assert document["servers"] == [{"url": "http://localhost:8080"}]
    assert document["info"]["version"] == "2"


@pytest.mark.parametrize("path", ["/calls", "/client.py", "/openapi.json"])
async def test_a_model_whose_inputs_are_not_known_cannot_be_described(api: Api, path: str) -> None:
    said = await refused(await api.client.get(f"/v1/models/new{path}"), 409)
    assert said == "new: its inputs are not known (it is cut short)"
    assert "not known" in await refused(await api.client.get(f"/v1/models/adopted{path}"), 409)


async def test_before_the_first_status_nobody_knows_where_the_gateway_is(api: Api) -> None:
    api.board.status = {}
    assert await refused(await api.client.get("/v1/models/iris/calls"), 503) == "no status yet; ask again in a second"
    assert (await api.get("/iris"))["state"] == "unknown"


async def test_an_unknown_model_gets_the_nearest_name(api: Api) -> None:
    said = await refused(await api.client.get("/v1/models/irsi"), 404)
    assert said == "there is no model 'irsi'; did you mean 'iris'?"
    assert await refused(await api.client.get("/v1/models/xyz"), 404) == "there is no model 'xyz'"


async def test_an_older_version_is_served_again(api: Api) -> None:
    reply = await api.client.post("/v1/models/iris/rollback", headers=JSON)
    assert reply.json() == {"name": "iris", "version": 1}
    await api.client.post("/v1/models/iris/rollback", json={"to": 1})
    assert api.repository.done == [("rollback", "iris", None), ("rollback", "iris", 1)]


async def test_a_version_is_retired(api: Api) -> None:
    reply = await api.client.post("/v1/models/iris/versions/1/retire", headers=JSON)
    assert reply.json() == {"name": "iris", "retired": 1}
    assert api.repository.done == [("retire", "iris", 1)]


async def test_a_model_is_removed(api: Api) -> None:
    reply = await api.client.delete("/v1/models/iris", headers=JSON)
    assert reply.json() == {"name": "iris", "removed": True}
    assert api.repository.done == [("remove", "iris")]


async def test_a_drop_that_was_never_published_is_removed_where_it_is_an_upload(api: Api) -> None:
    said = await refused(await api.client.delete("/v1/models/new", headers=JSON), 409)
    assert said == "new was never published; delete new.onnx from the repository"
    api.repository.waiting = {"new"}
    assert (await api.client.delete("/v1/models/new", headers=JSON)).json() == {"name": "new", "removed": True}
    assert api.repository.done == [("take back", "new")]


@pytest.mark.parametrize("body", ["[]", '{"to": "1"}', '{"to": 0}', '{"too": 1}', "{"])
async def test_a_body_that_says_something_else_is_refused(api: Api, body: str) -> None:
    reply = await api.client.post("/v1/models/iris/rollback", content=body, headers=JSON)
    assert 'it may be {} or {"to": VERSION}' in await refused(reply, 422)


async def test_a_body_has_a_bound(api: Api) -> None:
    reply = await api.client.post("/v1/models/iris/rollback", content=b" " * 70000, headers=JSON)
    assert await refused(reply, 413) == "the body is too large"


async def test_a_version_that_is_not_there_is_not_found(api: Api) -> None:
    for path, body in (("/rollback", {"to": 7}), ("/versions/7/retire", {})):
        said = await refused(await api.client.post(f"/v1/models/iris{path}", json=body), 404)
        assert said == "iris: there is no version 7; there are: 2, 1"
    assert "no version of it yet" in await refused(await api.client.post("/v1/models/new/rollback", json={}), 409)


async def test_what_the_repository_says_is_told(api: Api) -> None:
    api.repository.problem = ModelRefused("iris: version 2 is served already")
    said = await refused(await api.client.post("/v1/models/iris/rollback", json={"to": 2}), 409)
    assert said == "iris: version 2 is served already"
    api.repository.problem = SetupError("the disk is full")
    assert await refused(await api.client.delete("/v1/models/iris", headers=JSON), 503) == "the disk is full"
    api.repository.problem = RuntimeError("a secret")
    assert "secret" not in await refused(await api.client.delete("/v1/models/iris", headers=JSON), 500)


async def test_a_file_is_uploaded(api: Api) -> None:
    where = "/v1/models/fraud.onnx?input=x:0:FP32:-1,4&input=n:INT64:1"
    reply = await api.client.put(where, content=b"weights", headers=BINARY)
    assert (reply.status_code, reply.headers["location"]) == (202, "/v1/models/fraud")
    assert reply.json() == {"name": "fraud", "size_bytes": 7, "sha256": "5ha"}
    inputs = [Tensor("x:0", "FP32", (-1, 4)), Tensor("n", "INT64", (1,))]
    assert api.repository.done == [("receive", "fraud.onnx", inputs, b"weights")]


async def test_an_upload_that_was_refused_is_replaced_by_the_next(api: Api) -> None:
    api.repository.waiting = {"new"}
    await api.client.put("/v1/models/new.onnx", content=b"weights", headers=BINARY)
    assert [what for what, *_ in api.repository.done] == ["take back", "receive"]


@pytest.mark.parametrize(
    ("problem", "status"),
    [(ModelRefused("no model"), 422), (AlreadyWaiting("wait"), 409), (RequestTooLarge("big"), 413)],
)
async def test_an_upload_is_refused_with_the_reason(api: Api, problem: Exception, status: int) -> None:
    api.repository.problem = problem
    reply = await api.client.put("/v1/models/fraud.onnx", content=b"weights", headers=BINARY)
    assert await refused(reply, status) == str(problem)


async def test_an_input_that_cannot_be_read_is_refused(api: Api) -> None:
    reply = await api.client.put("/v1/models/fraud.onnx?input=x", content=b"weights", headers=BINARY)
    assert (await refused(reply, 422)).startswith("input x: expected NAME:DTYPE:DIMS")


async def test_web_pages_are_kept_away(api: Api) -> None:
    from_a_page = {"origin": "http://evil.example"}
    assert (await api.client.delete("/v1/models/iris", headers=JSON | from_a_page)).status_code == 403
    assert (await api.client.delete("/v1/models/iris")).status_code == 415
    assert (await api.client.get("/v1/models", headers={"host": "evil.example"})).status_code == 403
    assert (await api.client.get("/v1/models", headers={"host": "ops.example:8082"})).status_code == 200
    assert api.repository.done == []


async def test_every_refusal_is_json(api: Api) -> None:
    assert await refused(await api.client.get("/v2"), 404) == "Not Found"
    assert await refused(await api.client.post("/v1/models", headers=JSON), 405) == "Method Not Allowed"


async def test_a_thousand_models_are_listed_at_once(api: Api) -> None:
    api.repository.records |= {f"model-{number:04}": iris(f"model-{number:04}") for number in range(1000)}
    started = perf_counter()
    listed = await api.get("")
    assert len(listed["models"]) == 1003
    assert perf_counter() - started < 2  # far less where nothing else runs


async def test_the_folder_itself_is_changed(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / "fraud" / str(number)).mkdir(parents=True)
        (tmp_path / "fraud" / str(number) / "model.onnx").write_bytes(bytes(number))
    store = Store(tmp_path)
    store.adopt("fraud")
    models = Models(store, Records(tmp_path), Uploads(tmp_path, store.staging), dict)
    transport = httpx.ASGITransport(create_api(StatusBoard(), models))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:

        async def states() -> dict[int, str]:
            versions = (await client.get("/v1/models/fraud/versions")).json()["versions"]
            return {version["version"]: version["state"] for version in versions}

        assert await states() == {1: "kept", 2: "serving"}
        assert (await client.post("/v1/models/fraud/rollback", json={})).json() == {"name": "fraud", "version": 1}
        assert await states() == {1: "serving", 2: "retired"}
        assert "only one" in await refused(await client.post("/v1/models/fraud/versions/1/retire", json={}), 409)
        assert (await client.put("/v1/models/new.txt", content=TREES, headers=BINARY)).status_code == 202
        assert [drop.name for drop in find(tmp_path)] == ["new"]
        assert (await client.delete("/v1/models/fraud", headers=JSON)).status_code == 200
        assert (await client.get("/v1/models")).json()["models"] == []

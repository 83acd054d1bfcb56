"""Both front ends over the real embedded Triton: every client library, and every kind of bad input."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
import pytest_asyncio
import tritonclient.grpc as grpc_client
import tritonclient.grpc.aio as grpc_aio_client
import tritonclient.http as http_client
import tritonclient.http.aio as http_aio_client
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

from converters.data.recorded import RecordedDataset
from gateway.app import DataPlane, start_data
from gateway.config import TritonSection, UpstreamSection, load
from gateway.tap.fake import FakeTap
from gateway.tap.recording.log import RecordingLog
from gateway.triton.fetch import TritonInstall
from gateway.triton.supervise import EmbeddedTriton

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

BACKENDS = Path(__file__).parents[2] / "backends"
SERVICE = "/inference.GRPCInferenceService/"

MODEL = """
import triton_python_backend_utils as pb

class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        a = pb.get_input_tensor_by_name(request, "A").as_numpy()
        text = pb.get_input_tensor_by_name(request, "TEXT").as_numpy()
        return pb.InferenceResponse([pb.Tensor("TWICE", a * 2), pb.Tensor("SAME", text)])
"""
CONFIG = """
backend: "python"
max_batch_size: 8
input [ { name: "A" data_type: TYPE_FP32 dims: [ 2 ] }, { name: "TEXT" data_type: TYPE_STRING dims: [ 1 ] } ]
output [ { name: "TWICE" data_type: TYPE_FP32 dims: [ 2 ] }, { name: "SAME" data_type: TYPE_STRING dims: [ 1 ] } ]
version_policy: { all { } }
"""

A = np.array([[1.5, -2.0]], dtype=np.float32)
TEXT = np.array([["grüße".encode()]], dtype=np.object_)


@dataclass(frozen=True)
class Served:
    """A gateway, and the Triton behind it, by their addresses."""

    http: str
    grpc: str
    triton_http: str
    triton_grpc: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(triton_install: TritonInstall, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    folder = tmp_path_factory.mktemp("gateway")
    for version in (1, 3):
        model = folder / "repository" / "twice" / str(version)
        model.mkdir(parents=True)
        (model / "model.py").write_text(MODEL)
    (folder / "repository" / "twice" / "config.pbtxt").write_text(CONFIG)
    section = TritonSection(http_port=0, grpc_port=0, metrics_port=0, log_file=folder / "triton.log")
    config = load(None, ("http={host: 127.0.0.1, port: 0}", "grpc={host: 127.0.0.1, port: 0}"))
    async with (
        EmbeddedTriton(section, triton_install, folder / "repository", BACKENDS, ["twice"], lambda _: None) as triton,
        AsyncExitStack() as stack,
    ):
        await triton.wait_ready()
        upstream = UpstreamSection(http=triton.http_address, grpc=triton.grpc_address)
        addresses = await start_data(config.model_copy(update={"upstreams": (upstream,)}), stack)
        yield Served(addresses["http"], addresses["grpc"], triton.http_address, triton.grpc_address)


def inputs(client: Any, **binary: bool) -> list[Any]:
    a, text = client.InferInput("A", [1, 2], "FP32"), client.InferInput("TEXT", [1, 1], "BYTES")
    a.set_data_from_numpy(A, **binary)
    text.set_data_from_numpy(TEXT, **binary)
    return [a, text]


def check(result: Any, version: str = "3") -> None:
    np.testing.assert_array_equal(result.as_numpy("TWICE"), A * 2)
    [[same]] = result.as_numpy("SAME")
    assert (same if isinstance(same, bytes) else same.encode()) == TEXT[0, 0]
    response = result.get_response()
    assert (response["model_version"] if isinstance(response, dict) else response.model_version) == version


@pytest.mark.parametrize("binary", [True, False])
async def test_the_http_client(served: Served, binary: bool) -> None:
    def call() -> None:
        with http_client.InferenceServerClient(served.http) as client:
            assert client.is_server_live()
            assert client.is_server_ready()
            assert client.is_model_ready("twice")
            assert client.is_model_ready("twice", "1")
            assert not client.is_model_ready("twice", "2")
            assert client.get_server_metadata()["name"] == "triton"
            assert client.get_model_metadata("twice")["versions"] == ["1", "3"]
            assert client.get_model_config("twice", "1")["max_batch_size"] == 8
            assert {row["name"] for row in client.get_model_repository_index()} == {"twice"}
            outputs = [http_client.InferRequestedOutput(name, binary_data=binary) for name in ("TWICE", "SAME")]
            check(client.infer("twice", inputs(http_client, binary_data=binary), outputs=outputs))
            check(client.infer("twice", inputs(http_client, binary_data=binary), model_version="1"), "1")

    await asyncio.to_thread(call)


async def test_the_grpc_client(served: Served) -> None:
    def call() -> None:
        with grpc_client.InferenceServerClient(served.grpc) as client:
            assert client.is_server_live()
            assert client.is_server_ready()
            assert client.is_model_ready("twice", "3")
            assert not client.is_model_ready("twice", "2")
            assert client.get_server_metadata().name == "triton"
            assert list(client.get_model_metadata("twice").versions) == ["1", "3"]
            assert client.get_model_config("twice").config.max_batch_size == 8
            assert {model.name for model in client.get_model_repository_index().models} == {"twice"}
            check(client.infer("twice", inputs(grpc_client)))
            check(client.infer("twice", inputs(grpc_client), model_version="1"), "1")

    await asyncio.to_thread(call)


async def test_the_http_aio_client(served: Served) -> None:
    async with http_aio_client.InferenceServerClient(served.http) as client:
        assert await client.is_model_ready("twice")
        for result in await asyncio.gather(*(client.infer("twice", inputs(http_client)) for _ in range(50))):
            check(result)


async def test_the_grpc_aio_client(served: Served) -> None:
    async with grpc_aio_client.InferenceServerClient(served.grpc) as client:
        assert await client.is_model_ready("twice")
        for result in await asyncio.gather(*(client.infer("twice", inputs(grpc_client)) for _ in range(50))):
            check(result)


async def test_recorded_requests_hold_what_the_client_libraries_sent(served: Served, tmp_path: Path) -> None:
    config = load(
        None,
        (
            "http={host: 127.0.0.1, port: 0}",
            "grpc={host: 127.0.0.1, port: 0}",
            f"upstreams=[{{http: '{served.triton_http}', grpc: '{served.triton_grpc}'}}]",
            f"recording={{folder: '{tmp_path}', every: 1}}",
        ),
    )

    def call(http: str, grpc: str) -> None:
        with http_client.InferenceServerClient(http) as client:
            for binary in (True, False):
                for compression in (None, "gzip", "deflate"):
                    request = inputs(http_client, binary_data=binary)
                    check(client.infer("twice", request, request_compression_algorithm=compression))
            with pytest.raises(InferenceServerException):
                client.infer("twice", inputs(http_client)[:1])
        with grpc_client.InferenceServerClient(grpc) as client:
            for compression in (None, "gzip"):
                check(client.infer("twice", inputs(grpc_client), compression_algorithm=compression))

    tap, log = FakeTap(), RecordingLog(config.recording)
    async with DataPlane(config, tap=tap) as plane:
        await asyncio.to_thread(call, **plane.addresses)
    for exchange in tap.offered:
        await log.take(exchange)
    await log.aclose()
    recorded = list(RecordedDataset(tmp_path / "twice"))
    assert len(recorded) == 8
    for feeds in recorded:
        np.testing.assert_array_equal(feeds["A"], A)
        np.testing.assert_array_equal(feeds["TEXT"], TEXT)


@pytest.mark.parametrize("client", [http_client, grpc_client])
async def test_sixteen_megabytes_there_and_back(served: Served, client: Any) -> None:
    a = np.arange(16, dtype=np.float32).reshape(8, 2)
    text = np.array([[b"x" * 2_000_000]] * 8, dtype=np.object_)

    def call() -> Any:
        tensors = [client.InferInput("A", [8, 2], "FP32"), client.InferInput("TEXT", [8, 1], "BYTES")]
        tensors[0].set_data_from_numpy(a)
        tensors[1].set_data_from_numpy(text)
        with client.InferenceServerClient(served.http if client is http_client else served.grpc) as connection:
            return connection.infer("twice", tensors)

    result = await asyncio.to_thread(call)
    np.testing.assert_array_equal(result.as_numpy("TWICE"), a * 2)
    np.testing.assert_array_equal(result.as_numpy("SAME"), text)


TWO = {"name": "A", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}
WORD = {"name": "TEXT", "shape": [1, 1], "datatype": "BYTES", "data": ["a"]}


def body(*tensors: object, **more: object) -> bytes:
    return json.dumps({"inputs": list(tensors), **more}).encode()


def binary(size: int, blob: int) -> tuple[dict[str, str], bytes]:
    tensor = {"name": "A", "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": size}}
    head = body(tensor, WORD)
    return {"Inference-Header-Content-Length": str(len(head))}, head + bytes(blob)


NINE = body({**TWO, "shape": [9, 2], "data": [0] * 18}, {**WORD, "shape": [9, 1], "data": ["a"] * 9})
INFER = "/v2/models/twice/infer"
BAD_HTTP: dict[str, tuple[str, str, dict[str, str], bytes]] = {
    "unknown model": ("POST", "/v2/models/nope/infer", {}, body(TWO, WORD)),
    "unknown version": ("POST", "/v2/models/twice/versions/2/infer", {}, body(TWO, WORD)),
    "version that is no number": ("POST", "/v2/models/twice/versions/x/infer", {}, body(TWO, WORD)),
    "metadata of an unknown model": ("GET", "/v2/models/nope", {}, b""),
    "config of an unknown version": ("GET", "/v2/models/twice/versions/2/config", {}, b""),
    "readiness of an unknown model": ("GET", "/v2/models/nope/ready", {}, b""),
    "wrong tensor name": ("POST", INFER, {}, body({**TWO, "name": "B"}, WORD)),
    "a tensor too few": ("POST", INFER, {}, body(TWO)),
    "wrong shape": ("POST", INFER, {}, body({**TWO, "shape": [1, 3], "data": [1, 2, 3]}, WORD)),
    "shape unlike the data": ("POST", INFER, {}, body({**TWO, "shape": [1, 3]}, WORD)),
    "wrong datatype": ("POST", INFER, {}, body({**TWO, "datatype": "INT32"}, WORD)),
    "unknown datatype": ("POST", INFER, {}, body({**TWO, "datatype": "FLOAT"}, WORD)),
    "batch too large": ("POST", INFER, {}, NINE),
    "unknown output": ("POST", INFER, {}, body(TWO, WORD, outputs=[{"name": "NOPE"}])),
    "short blob": ("POST", INFER, *binary(8, 4)),
    "long blob": ("POST", INFER, *binary(8, 12)),
    "blob of the wrong size": ("POST", INFER, *binary(12, 12)),
    "head longer than the body": ("POST", INFER, {"Inference-Header-Content-Length": "9999"}, b"{}"),
    "raw request to a model of two inputs": ("POST", INFER, {"Inference-Header-Content-Length": "0"}, b"1234"),
    "broken JSON": ("POST", INFER, {}, b'{"inputs": ['),
    "JSON that is no object": ("POST", INFER, {}, b"[1]"),
    "JSON without inputs": ("POST", INFER, {}, b"{}"),
    "no body": ("POST", INFER, {}, b""),
    "bytes that are no text": ("POST", INFER, {}, bytes(range(256))),
    "unclosed nesting": ("POST", INFER, {}, b"[" * 90),
    "a method not allowed": ("DELETE", INFER, {}, b""),
    "POST to what is read": ("POST", "/v2/models/twice/config", {}, b""),
    "GET of the index": ("GET", "/v2/repository/index", {}, b""),
    "no such path": ("GET", "/v2/models/twice/nope", {}, b""),
    "trailing slash": ("GET", "/v2/models/twice/", {}, b""),
}


@pytest.mark.parametrize("name", BAD_HTTP)
async def test_bad_http_gets_the_answer_of_triton_itself(served: Served, name: str) -> None:
    method, path, headers, content = BAD_HTTP[name]
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        direct = await client.request(method, f"http://{served.triton_http}{path}", headers=headers, content=content)
        through = await client.request(method, f"http://{served.http}{path}", headers=headers, content=content)
        alive = await client.get(f"http://{served.http}/v2/models/twice/ready")
    assert direct.status_code >= 400
    assert (through.status_code, through.content) == (direct.status_code, direct.content)
    assert b"Traceback" not in through.content
    assert alive.status_code == 200


def message(model: str = "twice", version: str = "", tensor: str = "A", **more: Any) -> service_pb2.ModelInferRequest:
    request = service_pb2.ModelInferRequest(model_name=model, model_version=version)
    request.inputs.add(name=tensor, datatype=more.get("datatype", "FP32"), shape=more.get("shape", [1, 2]))
    request.inputs.add(name="TEXT", datatype="BYTES", shape=[1, 1])
    request.raw_input_contents.extend([bytes(more.get("size", 8)), b"\x01\0\0\0a"])
    return request


BAD_GRPC: dict[str, tuple[str, bytes]] = {
    "unknown model": ("ModelInfer", message("nope").SerializeToString()),
    "unknown version": ("ModelInfer", message(version="2").SerializeToString()),
    "version that is no number": ("ModelInfer", message(version="x").SerializeToString()),
    "no model": ("ModelInfer", b""),
    "wrong tensor name": ("ModelInfer", message(tensor="B").SerializeToString()),
    "wrong shape": ("ModelInfer", message(shape=[1, 3], size=12).SerializeToString()),
    "wrong datatype": ("ModelInfer", message(datatype="INT32").SerializeToString()),
    "short blob": ("ModelInfer", message(size=4).SerializeToString()),
    "long blob": ("ModelInfer", message(size=12).SerializeToString()),
    "a blob too few": ("ModelInfer", message().SerializeToString()[:-7]),
    "metadata of an unknown model": ("ModelMetadata", b"\x0a\x04nope"),
    "config of an unknown version": ("ModelConfig", b"\x0a\x05twice\x12\x012"),
    "garbage": ("ModelInfer", b"\xff\xff\xff"),
    "garbage that asks for nothing": ("ServerMetadata", b"\xff\xff\xff"),
    "index of a named repository": ("RepositoryIndex", b"\x0a\x04nope"),
}


@pytest.mark.parametrize("name", BAD_GRPC)
async def test_bad_grpc_gets_the_answer_of_triton_itself(served: Served, name: str) -> None:
    method, request = BAD_GRPC[name]

    async def refusal(address: str) -> tuple[grpc.StatusCode, str | None]:
        async with grpc.aio.insecure_channel(address) as channel:
            bad: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(SERVICE + method)
            good: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(SERVICE + "ServerReady")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await bad(request, timeout=10)
            assert await good(b"", timeout=10) == b"\x08\x01"
        return caught.value.code(), caught.value.details()

    assert await refusal(served.grpc) == await refusal(served.triton_grpc)


async def test_what_would_kill_triton_never_reaches_it(served: Served) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        for content, status in ((b'{"inputs":' + b"[" * 5_000_000, 400), (bytes(64 * 2**20 + 1), 413)):
            reply = await client.post(f"http://{served.http}{INFER}", content=content)
            assert reply.status_code == status
            assert (await client.get(f"http://{served.http}/v2/health/ready")).status_code == 200


async def test_the_largest_body_that_is_allowed_does_no_harm(served: Served) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        reply = await client.post(f"http://{served.http}{INFER}", content=bytes(64 * 2**20))
        assert 400 <= reply.status_code <= 500
        assert (await client.get(f"http://{served.http}/v2/health/ready")).status_code == 200

"""Everything that Triton's protocol can do, through the gateway, with the public clients."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import queue
import re
import zlib
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
import tritonclient.http as http_client
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

from gateway.app import start_data
from gateway.config import Config, TritonSection, UpstreamSection, load
from gateway.triton.fetch import TritonInstall
from gateway.triton.supervise import EmbeddedTriton
from tests.integration.models_of_all_kinds import write_models

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

BACKENDS = Path(__file__).parents[2] / "backends"
MODELS = ("twice", "count_up", "sum", "sleep")
A = np.array([[1.5, -2.0, 0.25]], dtype=np.float32)


@dataclass(frozen=True)
class Served:
    """Two gateways over one Triton: one with every admin switch on, one with none."""

    http: str
    grpc: str
    closed_http: str
    closed_grpc: str
    metrics: str
    repository: Path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(triton_install: TritonInstall, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    folder = tmp_path_factory.mktemp("protocol")
    repository = folder / "repository"
    write_models(repository, *MODELS)
    section = TritonSection(http_port=0, grpc_port=0, metrics_port=0, log_file=folder / "triton.log")
    async with (
        EmbeddedTriton(section, triton_install, repository, BACKENDS, MODELS, lambda _: None) as triton,
        AsyncExitStack() as stack,
    ):
        await triton.wait_ready()
        upstream = UpstreamSection(http=triton.http_address, grpc=triton.grpc_address)
        on = "admin={repository: true, trace: true, logging: true, shared_memory: true}"
        opened = await start_data(configured(upstream, on), stack)
        closed = await start_data(configured(upstream, "admin={repository_index: false}"), stack)
        yield Served(opened["http"], opened["grpc"], closed["http"], closed["grpc"], triton.metrics_address, repository)


def configured(upstream: UpstreamSection, admin: str) -> Config:
    config = load(None, ("http={host: 127.0.0.1, port: 0}", "grpc={host: 127.0.0.1, port: 0}", admin))
    return config.model_copy(update={"upstreams": (upstream,)})


def tensor(client: Any, name: str, values: np.ndarray[Any, Any], datatype: str) -> Any:
    built = client.InferInput(name, list(values.shape), datatype)
    built.set_data_from_numpy(values)
    return built


def numbers(client: Any) -> list[Any]:
    return [tensor(client, "A", A, "FP32")]


# HTTP


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(part.removeprefix("data: ")) for part in text.split("\n\n") if part]


async def test_generate_answers_once(served: Served) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        reply = await client.post(f"http://{served.http}/v2/models/twice/generate", json={"A": [1.0]})
        assert reply.status_code in (200, 400)  # a batched model takes it or says why not; either is Triton's answer
        many = await client.post(f"http://{served.http}/v2/models/count_up/generate", json={"N": 1})
    assert many.status_code == 200
    assert many.json()["I"] == 0


async def test_generate_stream_gives_each_event_as_it_comes(served: Served) -> None:
    async with (
        httpx.AsyncClient(trust_env=False, timeout=20) as client,
        client.stream("POST", f"http://{served.http}/v2/models/count_up/generate_stream", json={"N": 5}) as reply,
    ):
        assert reply.status_code == 200
        assert reply.headers["content-type"].startswith("text/event-stream")
        assert reply.headers["x-request-id"]
        text = (await reply.aread()).decode()
    assert [event["I"] for event in events(text)] == [0, 1, 2, 3, 4]


async def test_a_refused_generate_stream_has_triton_s_status(served: Served) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        reply = await client.post(f"http://{served.http}/v2/models/nope/generate_stream", json={"N": 5})
    assert reply.status_code == 404
    assert "unknown model" in reply.json()["error"]


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_compressed_there_and_back(served: Served, encoding: str) -> None:
    content = json.dumps({"inputs": [{"name": "A", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}]}).encode()
    packed = gzip.compress(content) if encoding == "gzip" else zlib.compress(content)
    headers = {"content-encoding": encoding, "accept-encoding": encoding}
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        reply = await client.post(f"http://{served.http}/v2/models/twice/infer", headers=headers, content=packed)
    assert reply.status_code == 200
    assert reply.headers["content-encoding"] == encoding
    assert reply.json()["outputs"][0]["data"] == [2, 4, 6]


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
async def test_the_http_client_compresses(served: Served, algorithm: str) -> None:
    def call() -> Any:
        with http_client.InferenceServerClient(served.http) as client:
            return client.infer(
                "twice",
                numbers(http_client),
                request_compression_algorithm=algorithm,
                response_compression_algorithm=algorithm,
            )

    np.testing.assert_array_equal((await asyncio.to_thread(call)).as_numpy("TWICE"), A * 2)


async def test_a_raw_request_is_one_tensor(served: Served) -> None:
    headers = {"Inference-Header-Content-Length": "0", "content-type": "application/octet-stream"}
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        url = f"http://{served.http}/v2/models/twice/infer"
        reply = await client.post(url, headers=headers, content=A.tobytes())
    assert reply.status_code == 200, reply.text
    split = int(reply.headers["inference-header-content-length"])
    np.testing.assert_array_equal(np.frombuffer(reply.content[split:], np.float32), (A * 2)[0])


@pytest.mark.parametrize("client", [http_client, grpc_client])
async def test_classification(served: Served, client: Any) -> None:
    def call() -> Any:
        address = served.http if client is http_client else served.grpc
        with client.InferenceServerClient(address) as connection:
            outputs = [client.InferRequestedOutput("TWICE", class_count=2)]
            return connection.infer("twice", numbers(client), outputs=outputs).as_numpy("TWICE")

    [labels] = await asyncio.to_thread(call)
    assert [label.decode() for label in labels] == ["3.000000:0:cat", "0.500000:2:owl"]


@pytest.mark.parametrize("client", [http_client, grpc_client])
@pytest.mark.parametrize("name", [7, "a-text"])
async def test_sequences(served: Served, client: Any, name: int | str) -> None:
    def call() -> list[int]:
        address = served.http if client is http_client else served.grpc
        with client.InferenceServerClient(address) as connection:
            sums = []
            for value in (1, 2, 3):
                result = connection.infer(
                    "sum",
                    [tensor(client, "A", np.array([[value]], np.int32), "INT32")],
                    sequence_id=name,
                    sequence_start=value == 1,
                    sequence_end=value == 3,
                )
                sums.append(int(result.as_numpy("SUM")[0, 0]))
            return sums

    assert await asyncio.to_thread(call) == [1, 3, 6]


@pytest.mark.parametrize("client", [http_client, grpc_client])
async def test_statistics_trace_and_log_settings(served: Served, client: Any) -> None:
    def call() -> None:
        address, json_too = (served.http, {}) if client is http_client else (served.grpc, {"as_json": True})
        with client.InferenceServerClient(address) as connection:
            connection.infer("twice", numbers(client))
            [row] = connection.get_inference_statistics("twice", **json_too)["model_stats"]
            assert int(row["inference_count"]) >= 1
            every = connection.get_inference_statistics(**json_too)["model_stats"]
            assert {row["name"] for row in every} >= set(MODELS)

            assert "trace_level" in json.dumps(connection.get_trace_settings(**json_too))
            changed = connection.update_trace_settings("twice", {"trace_rate": "77"}, **json_too)
            assert "77" in json.dumps(changed)
            assert "77" in json.dumps(connection.get_trace_settings("twice", **json_too))
            connection.update_trace_settings("twice", {"trace_rate": None})

            before = connection.get_log_settings(**json_too)
            connection.update_log_settings({"log_verbose_level": 0, "log_info": True}, **json_too)
            assert connection.get_log_settings(**json_too) == before

    await asyncio.to_thread(call)


@pytest.mark.parametrize("client", [http_client, grpc_client])
async def test_load_with_config_and_files_and_unload(served: Served, client: Any) -> None:
    name = f"added_by_{client.__name__.rpartition('.')[2]}"
    code = (served.repository / "twice" / "1" / "model.py").read_bytes()
    config = {
        "backend": "python",
        "max_batch_size": 4,
        "input": [{"name": "A", "data_type": "TYPE_FP32", "dims": [-1]}],
        "output": [{"name": "TWICE", "data_type": "TYPE_FP32", "dims": [-1]}],
        "instance_group": [{"count": 1, "kind": "KIND_CPU"}],
    }

    def call() -> None:
        address = served.http if client is http_client else served.grpc
        with client.InferenceServerClient(address) as connection:
            assert not connection.is_model_ready(name)
            connection.load_model(name, config=json.dumps(config), files={"file:1/model.py": code})
            assert connection.is_model_ready(name)
            np.testing.assert_array_equal(connection.infer(name, numbers(client)).as_numpy("TWICE"), A * 2)
            connection.unload_model(name)
            assert not connection.is_model_ready(name)

    await asyncio.to_thread(call)


async def test_an_override_of_a_file_is_base64_as_everywhere(served: Served) -> None:
    parameters = {"config": "{", "file:1/model.py": base64.b64encode(b"x").decode()}
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        url = f"http://{served.http}/v2/repository/models/broken/load"
        reply = await client.post(url, json={"parameters": parameters})
    assert reply.status_code >= 400
    assert str(served.repository) not in reply.text


async def test_shared_memory_is_triton_s_when_it_is_switched_on(served: Served) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        status = await client.get(f"http://{served.http}/v2/systemsharedmemory/status")
        assert status.status_code == 200
        register = await client.post(
            f"http://{served.http}/v2/systemsharedmemory/region/mine/register",
            json={"key": "/secret_key_of_the_host", "offset": 0, "byte_size": 64},
        )
    assert register.status_code == 500  # Triton's own word for a region that does not exist
    assert "secret_key_of_the_host" not in register.text


REFUSED_HTTP = [
    ("POST", "/v2/repository/index"),
    ("POST", "/v2/repository/models/twice/load"),
    ("POST", "/v2/repository/models/twice/unload"),
    ("GET", "/v2/trace/setting"),
    ("POST", "/v2/trace/setting"),
    ("GET", "/v2/models/twice/trace/setting"),
    ("GET", "/v2/logging"),
    ("POST", "/v2/logging"),
    ("GET", "/v2/systemsharedmemory/status"),
    ("POST", "/v2/systemsharedmemory/region/x/register"),
    ("POST", "/v2/systemsharedmemory/unregister"),
    ("GET", "/v2/cudasharedmemory/status"),
    ("POST", "/v2/cudasharedmemory/region/x/register"),
]


@pytest.mark.parametrize(("method", "path"), REFUSED_HTTP)
async def test_what_is_switched_off_is_refused_over_http(served: Served, method: str, path: str) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        reply = await client.request(method, f"http://{served.closed_http}{path}", content=b"{}")
        assert (await client.get(f"http://{served.closed_http}/v2/models/twice/ready")).status_code == 200
    assert reply.status_code == 403
    assert "admin." in reply.json()["error"]


REFUSED_GRPC = [
    "RepositoryIndex",
    "RepositoryModelLoad",
    "RepositoryModelUnload",
    "TraceSetting",
    "LogSettings",
    "SystemSharedMemoryStatus",
    "SystemSharedMemoryRegister",
    "SystemSharedMemoryUnregister",
    "CudaSharedMemoryStatus",
    "CudaSharedMemoryRegister",
    "CudaSharedMemoryUnregister",
]


@pytest.mark.parametrize("method", REFUSED_GRPC)
async def test_what_is_switched_off_is_refused_over_grpc(served: Served, method: str) -> None:
    async with grpc.aio.insecure_channel(served.closed_grpc) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            f"/inference.GRPCInferenceService/{method}"
        )
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(b"", timeout=10)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert "admin." in str(caught.value.details())


async def test_a_shared_memory_input_is_refused_where_it_is_switched_off(served: Served) -> None:
    def call(client: Any, address: str) -> str:
        shared = client.InferInput("A", [1, 3], "FP32")
        shared.set_shared_memory("region", 12)
        with client.InferenceServerClient(address) as connection, pytest.raises(InferenceServerException) as caught:
            connection.infer("twice", [shared])
        return str(caught.value)

    for client, address in ((http_client, served.closed_http), (grpc_client, served.closed_grpc)):
        assert "shared" in (said := await asyncio.to_thread(call, client, address))
        assert "admin.shared_memory" in said


# gRPC streams


async def streamed(address: str, calls: list[tuple[str, list[Any], dict[str, Any]]], answers: int) -> list[Any]:
    def run() -> list[Any]:
        got: queue.Queue[Any] = queue.Queue()
        with grpc_client.InferenceServerClient(address) as client:
            client.start_stream(lambda result, error: got.put(error if error is not None else result))
            for model, inputs, more in calls:
                client.async_stream_infer(model, inputs, **more)
            results = [got.get(timeout=20) for _ in range(answers)]
            client.stop_stream()
            assert got.empty()
        return results

    return await asyncio.to_thread(run)


async def test_a_decoupled_model_streams_its_answers(served: Served) -> None:
    n = [tensor(grpc_client, "N", np.array([4], np.int32), "INT32")]
    results = await streamed(served.grpc, [("count_up", n, {"enable_empty_final_response": True})], 5)
    assert [int(result.as_numpy("I")[0]) for result in results[:4]] == [0, 1, 2, 3]
    assert results[4].get_response().parameters["triton_final_response"].bool_param


async def test_two_models_on_one_stream(served: Served) -> None:
    n = [tensor(grpc_client, "N", np.array([2], np.int32), "INT32")]
    calls: list[tuple[str, list[Any], dict[str, Any]]] = [
        ("twice", numbers(grpc_client), {}),
        ("count_up", n, {}),
        ("twice", numbers(grpc_client), {}),
    ]
    results = await streamed(served.grpc, calls, 4)
    assert sorted(result.get_response().model_name for result in results) == ["count_up", "count_up", "twice", "twice"]


async def test_sequences_on_one_stream(served: Served) -> None:
    calls: list[tuple[str, list[Any], dict[str, Any]]] = []
    for value in (1, 2, 3):
        for sequence in (101, 102):
            one = [tensor(grpc_client, "A", np.array([[value * sequence]], np.int32), "INT32")]
            more = {"sequence_id": sequence, "sequence_start": value == 1, "sequence_end": value == 3}
            calls.append(("sum", one, more | {"request_id": f"{sequence}/{value}"}))
    results = await streamed(served.grpc, calls, 6)
    assert [str(result) for result in results if isinstance(result, InferenceServerException)] == []
    sums = {result.get_response().id: int(result.as_numpy("SUM")[0, 0]) for result in results}
    assert sums == {f"{s}/{v}": s * v * (v + 1) // 2 for s in (101, 102) for v in (1, 2, 3)}


async def test_an_error_on_a_stream_leaves_it_open(served: Served) -> None:
    calls: list[tuple[str, list[Any], dict[str, Any]]] = [
        ("nope", numbers(grpc_client), {}),
        ("twice", numbers(grpc_client), {}),
    ]
    results = await streamed(served.grpc, calls, 2)
    [error] = [result for result in results if isinstance(result, InferenceServerException)]
    [answer] = [result for result in results if not isinstance(result, InferenceServerException)]
    assert "unknown model" in str(error)
    np.testing.assert_array_equal(answer.as_numpy("TWICE"), A * 2)


async def test_a_unary_call_of_a_decoupled_model_is_refused_in_triton_s_words(served: Served) -> None:
    def call() -> None:
        n = [tensor(grpc_client, "N", np.array([4], np.int32), "INT32")]
        with grpc_client.InferenceServerClient(served.grpc) as client:
            client.infer("count_up", n)

    with pytest.raises(InferenceServerException, match="UNIMPLEMENTED"):
        await asyncio.to_thread(call)


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
async def test_the_grpc_client_compresses(served: Served, algorithm: str) -> None:
    def call() -> Any:
        with grpc_client.InferenceServerClient(served.grpc) as client:
            return client.infer("twice", numbers(grpc_client), compression_algorithm=algorithm)

    np.testing.assert_array_equal((await asyncio.to_thread(call)).as_numpy("TWICE"), A * 2)


# Deadlines and cancellation


def asleep(client: Any, seconds: float) -> list[Any]:
    return [tensor(client, "SECONDS", np.array([seconds], np.float32), "FP32")]


async def test_a_grpc_timeout_ends_the_wait(served: Served) -> None:
    def call() -> None:
        with grpc_client.InferenceServerClient(served.grpc) as client:
            client.infer("sleep", asleep(grpc_client, 1.0), client_timeout=0.2)

    with pytest.raises(InferenceServerException, match=r"DEADLINE_EXCEEDED|Deadline Exceeded"):
        await asyncio.to_thread(call)


async def test_the_http_deadline_header_ends_the_wait(served: Served) -> None:
    request = {"inputs": [{"name": "SECONDS", "shape": [1], "datatype": "FP32", "data": [1.0]}]}
    headers = {"X-Request-Timeout-Ms": "200"}
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        url = f"http://{served.http}/v2/models/sleep/infer"
        reply = await client.post(url, json=request, headers=headers)
        wrong = await client.post(url, json=request, headers={"X-Request-Timeout-Ms": "soon"})
    assert reply.status_code == 504
    assert wrong.status_code == 400
    assert "X-Request-Timeout-Ms" in wrong.json()["error"]


async def waiting_in_triton(served: Served, model: str) -> None:
    """Wait until a request of `model` waits in Triton's queue."""
    wanted = re.compile(rf'nv_inference_pending_request_count{{model="{model}",[^}}]*}} [1-9]')
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        while not wanted.search((await client.get(f"http://{served.metrics}/metrics")).text):
            await asyncio.sleep(0.01)


async def test_what_nobody_waits_for_any_more_is_cancelled_in_triton(served: Served) -> None:
    """Over gRPC; of HTTP requests whose connection is closed this Triton takes no notice."""
    log = served.repository / "sleep" / "log"

    def request(name: str, seconds: float) -> bytes:
        message = service_pb2.ModelInferRequest(model_name="sleep", id=name)
        message.inputs.add(name="SECONDS", datatype="FP32", shape=[1])
        message.raw_input_contents.append(np.float32(seconds).tobytes())
        return bytes(message.SerializeToString())

    def logged(name: str) -> bool:
        return log.exists() and name in log.read_text()

    async with grpc.aio.insecure_channel(served.grpc) as channel:
        infer: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer"
        )
        long = asyncio.ensure_future(infer(request("long", 1.5), timeout=20))
        while not logged("long"):
            await asyncio.sleep(0.01)
        with pytest.raises(grpc.aio.AioRpcError, match="DEADLINE_EXCEEDED"):
            await infer(request("late", 0.1), timeout=0.3)
        gone = infer(request("gone", 0.1), timeout=20)
        await waiting_in_triton(served, "sleep")
        gone.cancel()
        await long
        await infer(request("last", 0.0), timeout=20)
    lines = log.read_text().splitlines()
    assert "late cancelled" in lines
    assert "gone cancelled" in lines
    assert "last run" in lines

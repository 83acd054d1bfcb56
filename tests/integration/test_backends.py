"""The Python-based backends in a real Triton, called with Triton's own clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

pytest.importorskip("onnxruntime", reason="install the extra 'onnx'")
pytest.importorskip("torch", reason="install the extra 'pytorch'")
pytest.importorskip("tensorflow", reason="install the extra 'tensorflow'")

import ml_dtypes
import onnx
import torch
import tritonclient.grpc.aio as grpc
import tritonclient.http.aio as http
from tritonclient.utils import InferenceServerException

from gateway.config import TritonSection
from gateway.triton.fetch import TritonInstall
from gateway.triton.status import ModelState
from gateway.triton.supervise import EmbeddedTriton
from tests.backends.pytorch.torch_modules import Counting, Exported, Identity
from tests.backends.sample_models import (
    VALUES,
    exported_program,
    onnx_gather,
    onnx_identity,
    onnx_model,
    saved_model_identity,
    torchscript,
)

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

BACKENDS = Path(__file__).parents[2] / "backends"
ONE_INSTANCE = "instance_group { count: 1 kind: KIND_CPU }"
QUEUE = "dynamic_batching { max_queue_delay_microseconds: 500000 preferred_batch_size: 8 }"
GATHER = f"""
backend: "onnxruntime" max_batch_size: 8 {ONE_INSTANCE} {QUEUE}
input {{ name: "index" data_type: TYPE_INT64 dims: -1 allow_ragged_batch: true }}
output {{ name: "picked" data_type: TYPE_FP32 dims: -1 }}
output {{ name: "twice" data_type: TYPE_INT64 dims: -1 }}
"""
NUMPY_TYPES = [name for name in VALUES if name != "BF16"]
TENSOR_TYPES = [name for name in VALUES if name != "BYTES"]
IDENTITIES = {
    "onnx_identity": NUMPY_TYPES,
    "onnx_bf16": ["BF16", "FP32"],
    "torchscript_identity": TENSOR_TYPES,
    "tensorflow_identity": list(VALUES),
}
BROKEN = {
    "broken_cut": "'model.onnx' cannot be opened as an ONNX model",
    "broken_missing": "the file 'net.onnx' is missing in version 1, which holds model.onnx",
    "broken_name": "input 'indx' of config.pbtxt is not in the model; did you mean 'index'?",
    "broken_datatype": "output 'twice': 'data_type' is TYPE_INT32 in config.pbtxt, but TYPE_INT64 in the model",
    "broken_batch": "so the model needs 'max_batch_size: 0'|has no batch dimension",
    "broken_checkpoint": "'model.pt' is a checkpoint of torch.save, which holds no program",
    "broken_untold": "TorchScript does not tell datatypes and shapes",
    "broken_threads": "parameter 'intra_op_thread_count' must be a number of 0 or more, not 'all'",
    "broken_state": "'batch_input' is not supported",
}
SERVED = [*IDENTITIES, "gather", "exported", "counting", "scalar", "biased", "sequence"]


def config(repository: Path, model: str, text: str) -> Path:
    """Writes `config.pbtxt` and gives the version's folder."""
    folder = repository / model
    (folder / "1").mkdir(parents=True, exist_ok=True)
    (folder / "config.pbtxt").write_text(text)
    return folder / "1"


def write_identities(repository: Path) -> None:
    onnx_identity(repository / "onnx_identity/1/model.onnx", IDENTITIES["onnx_identity"])
    onnx_identity(repository / "onnx_bf16/1/model.onnx", IDENTITIES["onnx_bf16"])
    saved_model_identity(config(repository, "tensorflow_identity", ONE_INSTANCE) / "model.savedmodel")
    tensors = " ".join(
        f'input {{ name: "IN_{name}__{index}" data_type: TYPE_{name} dims: -1 }} '
        f'output {{ name: "OUT_{name}__{index}" data_type: TYPE_{name} dims: -1 }}'
        for index, name in enumerate(TENSOR_TYPES)
    )
    version = config(
        repository, "torchscript_identity", f'backend: "pytorch" max_batch_size: 8 {ONE_INSTANCE} {tensors}'
    )
    torchscript(version / "model.pt", Identity())


def write_others(repository: Path) -> None:
    onnx_gather(config(repository, "gather", GATHER) / "model.onnx")
    batch = torch.export.Dim("batch")
    version = config(repository, "exported", f'backend: "pytorch" default_model_filename: "model.pt2" {ONE_INSTANCE}')
    example = (torch.zeros(2, 3), 2, torch.ones(2, 3))
    exported_program(version / "model.pt2", Exported(), example, ({0: batch}, None, {0: batch}))
    zeros = "value { data_type: TYPE_FP32 dims: 1 zero_data: true }"
    warm_up = f'model_warmup {{ name: "zeros" batch_size: 1 count: 3 inputs {{ key: "x" {zeros} }} }}'
    tensors = 'input { name: "x" data_type: TYPE_FP32 dims: 1 } output { name: "y" data_type: TYPE_FP32 dims: 1 }'
    version = config(
        repository,
        "counting",
        f'backend: "pytorch" max_batch_size: 1 instance_group {{ count: 2 kind: KIND_CPU }} {tensors} {warm_up}',
    )
    torchscript(version / "model.pt", Counting())
    node = onnx.helper.make_node
    path = config(repository, "scalar", ONE_INSTANCE) / "model.onnx"
    onnx_model(path, [node("Neg", ["x"], ["y"])], [("x", "FLOAT", [])], [("y", "FLOAT", [])])
    bias = onnx.numpy_helper.from_array(np.array([10], np.float32), "bias")
    tensors = """
        input { name: "x" data_type: TYPE_FP32 dims: -1 }
        input { name: "bias" data_type: TYPE_FP32 dims: 1 optional: true }
        output { name: "y" data_type: TYPE_FP32 dims: -1 }"""
    onnx_model(
        config(repository, "biased", f'backend: "onnxruntime" {ONE_INSTANCE} {tensors}') / "model.onnx",
        [node("Add", ["x", "bias"], ["y"])],
        [("x", "FLOAT", ["n"]), ("bias", "FLOAT", [1])],
        [("y", "FLOAT", ["n"])],
        initializer=[bias],
    )
    control = "control { kind: CONTROL_SEQUENCE_START fp32_false_true: [ 0, 1 ] }"
    sequence = f"""
        backend: "onnxruntime" max_batch_size: 2 {ONE_INSTANCE}
        sequence_batching {{ control_input {{ name: "START" {control} }} }}
        input {{ name: "x" data_type: TYPE_FP32 dims: 1 }} output {{ name: "y" data_type: TYPE_FP32 dims: 1 }}"""
    onnx_model(
        config(repository, "sequence", sequence) / "model.onnx",
        [node("Add", ["x", "START"], ["y"])],
        [("x", "FLOAT", ["b", 1]), ("START", "FLOAT", ["b", 1])],
        [("y", "FLOAT", ["b", 1])],
    )


def write_broken(repository: Path) -> None:
    whole = onnx_gather(repository / "broken_missing/1/model.onnx").read_bytes()
    config(repository, "broken_missing", f'backend: "onnxruntime" default_model_filename: "net.onnx" {ONE_INSTANCE}')
    (config(repository, "broken_cut", ONE_INSTANCE) / "model.onnx").write_bytes(whole[:-40])
    for model, text in {
        "broken_name": GATHER.replace('"index"', '"indx"'),
        "broken_datatype": GATHER.replace('"twice" data_type: TYPE_INT64', '"twice" data_type: TYPE_INT32'),
        "broken_threads": GATHER + 'parameters { key: "intra_op_thread_count" value { string_value: "all" } }',
        "broken_state": GATHER
        + 'batch_input { kind: BATCH_ELEMENT_COUNT target_name: "n" data_type: TYPE_FP32 source_input: "index" }',
    }.items():
        (config(repository, model, text) / "model.onnx").write_bytes(whole)
    fixed = [("x", "FLOAT", [1, 2])], [("y", "FLOAT", [1, 2])]
    onnx_model(
        config(
            repository,
            "broken_batch",
            f'backend: "onnxruntime" max_batch_size: 4 {ONE_INSTANCE} '
            'input { name: "x" data_type: TYPE_FP32 dims: 2 } output { name: "y" data_type: TYPE_FP32 dims: 2 }',
        )
        / "model.onnx",
        [onnx.helper.make_node("Neg", ["x"], ["y"])],
        *fixed,
    )
    tensors = 'input { name: "x" data_type: TYPE_FP32 dims: 1 } output { name: "y" data_type: TYPE_FP32 dims: 1 }'
    version = config(repository, "broken_checkpoint", f'backend: "pytorch" {ONE_INSTANCE} {tensors}')
    torch.save(torch.nn.Linear(1, 1).state_dict(), version / "model.pt")
    torchscript(config(repository, "broken_untold", f'backend: "pytorch" {ONE_INSTANCE}') / "model.pt", Counting())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def triton(
    triton_install: TritonInstall, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[EmbeddedTriton]:
    """One Triton for the whole file: loading TensorFlow alone takes seconds."""
    folder = tmp_path_factory.mktemp("triton")
    repository = folder / "repository"
    write_identities(repository)
    write_others(repository)
    write_broken(repository)
    section = TritonSection(http_port=0, grpc_port=0, metrics_port=0, log_file=folder / "triton.log")
    models = [*SERVED, *BROKEN]
    async with EmbeddedTriton(section, triton_install, repository, BACKENDS, models, lambda _: None) as triton:
        await triton.wait_ready()
        yield triton


@pytest_asyncio.fixture(loop_scope="module")
async def client(triton: EmbeddedTriton) -> AsyncIterator[Any]:
    async with grpc.InferenceServerClient(triton.grpc_address) as client:
        yield client


def as_sent(datatype: str) -> np.ndarray[Any, Any]:
    """The sample values of a datatype, as Triton's clients take them."""
    return VALUES[datatype].view(ml_dtypes.bfloat16) if datatype == "BF16" else VALUES[datatype]


def tensor(protocol: Any, name: str, datatype: str, array: Any, **options: Any) -> Any:
    made = protocol.InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array, **options)
    return made


def names(model: str, datatype: str) -> tuple[str, str]:
    suffix = f"__{IDENTITIES[model].index(datatype)}" if model == "torchscript_identity" else ""
    return f"IN_{datatype}{suffix}", f"OUT_{datatype}{suffix}"


def assert_identical(datatype: str, array: Any) -> None:
    assert array.shape == VALUES[datatype].shape, datatype
    assert array.tolist() == as_sent(datatype).tolist(), datatype


async def picked(client: Any, index: Sequence[int], outputs: Sequence[str] = ("picked",)) -> Any:
    inputs = [tensor(grpc, "index", "INT64", np.array([index]))]
    wanted = [grpc.InferRequestedOutput(name) for name in outputs]
    return await client.infer("gather", inputs, outputs=wanted)


async def statistics(client: Any, model: str) -> Any:
    return (await client.get_inference_statistics(model)).model_stats[0]


async def statistics_after(client: Any, model: str, before: Any, requests: int) -> Any:
    """The statistics once all requests are in them: Triton answers a request before it counts it."""
    async with asyncio.timeout(10):
        while True:
            after = await statistics(client, model)
            if after.inference_count - before.inference_count >= requests:
                return after
            await asyncio.sleep(0.02)


async def test_everything_that_should_load_does(triton: EmbeddedTriton) -> None:
    states = triton.status().models
    assert {model: states[model].reason for model in SERVED if states[model].state is not ModelState.READY} == {}


@pytest.mark.parametrize("model", IDENTITIES)
async def test_every_datatype_goes_through_over_grpc(client: Any, model: str) -> None:
    inputs = [tensor(grpc, names(model, each)[0], each, as_sent(each)) for each in IDENTITIES[model]]
    result = await client.infer(model, inputs)
    for each in IDENTITIES[model]:
        assert_identical(each, result.as_numpy(names(model, each)[1]))


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
@pytest.mark.parametrize("model", IDENTITIES)
async def test_every_datatype_goes_through_over_http(triton: EmbeddedTriton, model: str, binary: bool) -> None:
    # FP16 and BF16 never travel as JSON.
    mode = {each: binary or each in ("FP16", "BF16") for each in IDENTITIES[model]}
    async with http.InferenceServerClient(triton.http_address) as client:
        result = await client.infer(
            model,
            [tensor(http, names(model, each)[0], each, as_sent(each), binary_data=mode[each]) for each in mode],
            outputs=[http.InferRequestedOutput(names(model, each)[1], binary_data=mode[each]) for each in mode],
        )
    for each in IDENTITIES[model]:
        array = result.as_numpy(names(model, each)[1])
        if each == "BYTES" and not binary:
            array = np.array([item.encode() if isinstance(item, str) else item for item in array.flat], object)
            array = array.reshape(VALUES[each].shape)
        assert_identical(each, array)


async def test_zero_sized_dimensions(client: Any) -> None:
    for name, datatype in (("IN_FP32", np.float32), ("IN_BF16", ml_dtypes.bfloat16)):
        other = "IN_BF16" if name == "IN_FP32" else "IN_FP32"
        empty = {name: np.zeros((1, 0), datatype), other: as_sent(other.removeprefix("IN_"))}
        inputs = [tensor(grpc, key, key.removeprefix("IN_"), array) for key, array in empty.items()]
        result = await client.infer("onnx_bf16", inputs)
        assert result.as_numpy(name.replace("IN", "OUT")).shape == (1, 0)


async def test_the_requests_of_a_dynamic_batch_run_once(client: Any) -> None:
    before = await statistics(client, "gather")
    results = await asyncio.gather(*(picked(client, [number, 9]) for number in range(8)))
    after = await statistics_after(client, "gather", before, 8)
    assert [result.as_numpy("picked").tolist() for result in results] == [[[number, 9]] for number in range(8)]
    assert after.inference_count - before.inference_count == 8
    assert after.execution_count - before.execution_count < 8


async def test_mixed_shapes_share_a_batch(client: Any) -> None:
    before = await statistics(client, "gather")
    results = await asyncio.gather(*(picked(client, list(range(1 + number % 3))) for number in range(8)))
    after = await statistics_after(client, "gather", before, 8)
    assert [result.as_numpy("picked").tolist() for result in results] == [
        [list(range(1 + number % 3))] for number in range(8)
    ]
    assert after.execution_count - before.execution_count < 8


async def test_an_error_hurts_only_its_own_request(client: Any) -> None:
    before = await statistics(client, "gather")
    calls = [picked(client, [99 if number == 3 else number]) for number in range(8)]
    results: list[Any] = await asyncio.gather(*calls, return_exceptions=True)
    after = await statistics(client, "gather")
    assert after.execution_count - before.execution_count < 8
    failed = results.pop(3)
    assert isinstance(failed, InferenceServerException)
    assert failed.status() == "StatusCode.INVALID_ARGUMENT"
    assert "idx=99 must be within the inclusive range [-10,9]" in failed.message()
    assert "\n" not in failed.message()
    assert "model.py" not in failed.message()
    assert [result.as_numpy("picked").tolist() for result in results] == [[[n]] for n in (0, 1, 2, 4, 5, 6, 7)]


async def test_only_the_requested_outputs_are_returned(client: Any) -> None:
    calls = [picked(client, [2], ["picked"]), picked(client, [3], ["twice"]), picked(client, [4], ["picked", "twice"])]
    results = await asyncio.gather(*calls)
    assert [[output.name for output in result.get_response().outputs] for result in results] == [
        ["picked"],
        ["twice"],
        ["picked", "twice"],
    ]
    assert results[1].as_numpy("twice").tolist() == [[6]]


async def test_an_exported_program_is_completed_and_batches(client: Any) -> None:
    completed = (await client.get_model_config("exported")).config
    assert completed.max_batch_size == 4
    assert completed.HasField("dynamic_batching")
    assert [(each.name, list(each.dims)) for each in completed.input] == [("x", [3]), ("offset", [3])]
    arrays = {"x": np.full((2, 3), 3, np.float32), "offset": np.ones((2, 3), np.float32)}
    result = await client.infer("exported", [tensor(grpc, name, "FP32", array) for name, array in arrays.items()])
    assert result.as_numpy("y").tolist() == [[10, 10, 10]] * 2
    assert result.as_numpy("rounded").tolist() == [[3, 3, 3]] * 2


async def test_two_instances_and_their_warm_up(client: Any) -> None:
    # Each instance is a process of its own, which has run three times before the first request.
    inputs = [tensor(grpc, "x", "FP32", np.zeros((1, 1), np.float32))]
    results = await asyncio.gather(*(client.infer("counting", inputs) for _ in range(20)))
    counts = sorted(int(result.as_numpy("y")[0, 0]) for result in results)
    assert counts[0] == 4
    assert counts[-1] < 4 + 20 - 1, "one instance answered everything"
    assert (await client.get_model_config("counting")).config.instance_group[0].count == 2


async def test_a_scalar_is_one_element(client: Any) -> None:
    result = await client.infer("scalar", [tensor(grpc, "x", "FP32", np.array([1.5], np.float32))])
    assert result.as_numpy("y").tolist() == [-1.5]


async def test_an_optional_input(client: Any) -> None:
    x = tensor(grpc, "x", "FP32", np.array([1, 2], np.float32))
    bias = tensor(grpc, "bias", "FP32", np.array([1], np.float32))
    assert (await client.infer("biased", [x])).as_numpy("y").tolist() == [11, 12]
    assert (await client.infer("biased", [x, bias])).as_numpy("y").tolist() == [2, 3]


async def test_the_sequence_batchers_own_input(client: Any) -> None:
    x = [tensor(grpc, "x", "FP32", np.zeros((1, 1), np.float32))]
    started = await client.infer("sequence", x, sequence_id=7, sequence_start=True)
    went_on = await client.infer("sequence", x, sequence_id=7, sequence_end=True)
    assert [started.as_numpy("y").tolist(), went_on.as_numpy("y").tolist()] == [[[1]], [[0]]]


@pytest.mark.parametrize(("model", "cause"), BROKEN.items())
async def test_the_cause_of_a_failed_load(triton: EmbeddedTriton, model: str, cause: str) -> None:
    status = triton.status().models[model]
    assert status.state is ModelState.FAILED
    assert any(part in status.reason for part in cause.split("|")), status.reason
    assert "Traceback" not in status.reason


async def test_nothing_else_is_said_about_a_stub(triton: EmbeddedTriton) -> None:
    log = await asyncio.to_thread(Path(triton.status().log_file).read_text, errors="replace")
    assert "Exception ignored" not in log
    assert "is not healthy" not in log

import dataclasses

import pytest

from gateway.repository import pbtxt
from gateway.repository.description import Description, Tensor
from gateway.repository.handwritten import parse
from gateway.repository.hardware import Hardware
from gateway.repository.warmup import Warmup, WarmupInput

SMALL = Description("onnx", "onnxruntime", "onnx", (), (), True, "model.onnx", size_bytes=1_000_000)
LAPTOP, SERVER = Hardware(8, 0), Hardware(64, 2)


def test_the_batch_is_taken_off_the_shapes() -> None:
    section = pbtxt.tensors("input", [Tensor("x", "FP32", (-1, 3, -1))], batched=True)
    assert list(parse(section).input[0].dims) == [3, -1]
    section = pbtxt.tensors("input", [Tensor("x", "FP32", (-1, 3, -1))], batched=False)
    assert list(parse(section).input[0].dims) == [-1, 3, -1]


def test_a_plain_value_is_one_element_to_triton() -> None:
    [output] = parse(pbtxt.tensors("output", [Tensor("y", "FP32", (-1,))], batched=True)).output
    assert (list(output.dims), output.HasField("reshape"), list(output.reshape.shape)) == ([1], True, [])
    [output] = parse(pbtxt.tensors("output", [Tensor("y", "FP32", ())], batched=False)).output
    assert (list(output.dims), output.HasField("reshape")) == ([1], False)


def test_every_attribute_of_a_tensor_is_written() -> None:
    tensor = Tensor('a "quoted":0', "BYTES", (1,), optional=True)
    [entry] = parse(pbtxt.tensors("input", [tensor], batched=False)).input
    assert (entry.name, entry.data_type, entry.optional) == ('a "quoted":0', 13, True)
    [entry] = parse(pbtxt.tensors("output", [Tensor("y", "FP32", (1,), labels="labels.txt")], batched=False)).output
    assert entry.label_filename == "labels.txt"


def test_a_cpu_prefers_small_batches_and_a_gpu_waits_for_fuller_ones() -> None:
    cpu = parse(pbtxt.dynamic_batching(64, LAPTOP)).dynamic_batching
    assert (list(cpu.preferred_batch_size), cpu.max_queue_delay_microseconds) == ([4], 0)
    assert list(parse(pbtxt.dynamic_batching(2, LAPTOP)).dynamic_batching.preferred_batch_size) == [2]
    gpu = parse(pbtxt.dynamic_batching(64, SERVER)).dynamic_batching
    assert (list(gpu.preferred_batch_size), gpu.max_queue_delay_microseconds) == ([], 100)


@pytest.mark.parametrize(
    ("backend", "size", "hardware", "count", "kind"),
    [
        ("onnxruntime", 1_000_000, LAPTOP, 2, "KIND_AUTO"),
        ("onnxruntime", 1_000_000, Hardware(2, 0), 1, "KIND_AUTO"),
        ("onnxruntime", 500_000_000, LAPTOP, 1, "KIND_AUTO"),
        ("onnxruntime", 1_000_000, SERVER, 1, "KIND_AUTO"),
        ("tensorflow", 1_000_000, LAPTOP, 1, "KIND_AUTO"),
        ("fil", 1_000_000, LAPTOP, 2, "KIND_CPU"),
        ("fil", 1_000_000, SERVER, 2, "KIND_CPU"),
        ("tensorrt", 1_000_000, LAPTOP, 1, "KIND_GPU"),
    ],
)
def test_instances_suit_the_model_and_the_hardware(
    backend: str, size: int, hardware: Hardware, count: int, kind: str
) -> None:
    model = dataclasses.replace(SMALL, backend=backend, size_bytes=size)
    [group] = parse(pbtxt.instance_group(model, hardware)).instance_group
    assert (group.count, group.Kind.Name(group.kind)) == (count, kind)


def test_only_the_latest_version_is_served() -> None:
    assert parse(pbtxt.version_policy()).version_policy.latest.num_versions == 1


def test_parameters_are_strings() -> None:
    config = parse(pbtxt.parameters({"b": "true", "a": 'say "x"'}))
    assert {key: value.string_value for key, value in config.parameters.items()} == {"a": 'say "x"', "b": "true"}
    assert not pbtxt.parameters({})


def test_warm_up_has_the_samples_shapes() -> None:
    warmup = Warmup(2, (WarmupInput("x", "FP32", (3, 8)), WarmupInput("n:0", "BYTES", (), "input1")))
    [request] = parse(pbtxt.model_warmup(warmup, 64)).model_warmup
    x, n = request.inputs["x"], request.inputs["n:0"]
    assert (request.batch_size, list(x.dims), x.zero_data) == (2, [3, 8], True)
    assert (list(n.dims), n.data_type, n.input_data_file) == ([1], 13, "input1")
    [request] = parse(pbtxt.model_warmup(warmup, 0)).model_warmup
    assert (request.batch_size, list(request.inputs["x"].dims), list(request.inputs["n:0"].dims)) == (1, [1, 3, 8], [1])


def test_default_file_names_are_tritons() -> None:
    assert pbtxt.default_filename("pytorch") == "model.pt"
    assert not pbtxt.default_filename("fil")

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from converters.engines.base import Profile, Range
from converters.errors import Unsupported
from converters.graph.signature import Signature, Tensor
from converters.publish.config_pbtxt import ConfigFromSignature, is_ours
from converters.publish.source_config import SourceConfig, SourceTensor, Warmup, parse
from gateway.repository.config_text import is_complete

SIGNATURE = Signature(
    (Tensor("audio", "FP32", ("batch", "samples", 1)),), (Tensor("note", "FP16", ("batch", 172, 88)),)
)


def profile(least: int, best: int, most: int) -> Profile:
    return {"audio": Range((least, 9, 1), (best, 9, 1), (most, 9, 1))}


PLAN = ConfigFromSignature("m", SIGNATURE, "tensorrt", profiles=(profile(1, 4, 8),))
ONNX = ConfigFromSignature("m", SIGNATURE, "onnxruntime")


def read(config: ConfigFromSignature) -> Any:
    """As Triton reads it."""
    return parse(config(), "test")


def test_a_plan_gets_its_profiles_batches_and_a_gpu() -> None:
    found = read(PLAN)
    assert (found.name, found.backend, found.max_batch_size) == ("m", "tensorrt", 8)
    assert (found.input[0].name, found.input[0].data_type, list(found.input[0].dims)) == ("audio", 11, [-1, 1])
    assert (found.output[0].data_type, list(found.output[0].dims)) == (10, [172, 88])
    assert list(found.dynamic_batching.preferred_batch_size) == [4]
    assert found.dynamic_batching.max_queue_delay_microseconds == 100
    assert [(group.kind, group.count, list(group.profile)) for group in found.instance_group] == [(1, 1, [])]
    assert (found.default_model_filename, dict(found.cc_model_filenames)) == ("", {})


def test_several_profiles_are_named_or_the_native_backend_uses_only_the_first() -> None:
    found = read(replace(PLAN, profiles=(profile(1, 1, 1), profile(2, 8, 32))))
    assert list(found.instance_group[0].profile) == ["0", "1"]
    assert (found.max_batch_size, list(found.dynamic_batching.preferred_batch_size)) == (32, [8])


def test_a_plan_for_each_compute_capability() -> None:
    found = read(replace(PLAN, files={"model_sm86.plan": (86,), "model_sm120.plan": (120, 121)}))
    assert found.default_model_filename == "model_sm86.plan"
    assert dict(found.cc_model_filenames) == {
        "8.6": "model_sm86.plan",
        "12.0": "model_sm120.plan",
        "12.1": "model_sm120.plan",
    }


def test_an_onnx_model_runs_where_it_can() -> None:
    found = read(ONNX)
    assert (found.backend, found.max_batch_size) == ("onnxruntime", 64)
    assert list(found.dynamic_batching.preferred_batch_size) == [4]
    assert found.instance_group[0].kind == 0  # KIND_AUTO
    assert found.version_policy.latest.num_versions == 1


def test_nothing_is_left_for_a_backend_to_complete() -> None:
    scalars = Signature((Tensor("x", "BYTES", ("batch",)),), (Tensor("y", "BOOL", ("batch", "n")),))
    for config in (PLAN, ONNX, replace(ONNX, signature=scalars)):
        assert is_complete(config())


def test_models_that_do_not_batch() -> None:
    fixed = Signature((Tensor("x", "INT64", (1, 4)),), (Tensor("y", "FP32", ()),))
    found = read(replace(ONNX, signature=fixed))
    assert (found.max_batch_size, list(found.input[0].dims), list(found.output[0].dims)) == (0, [1, 4], [1])
    assert not found.HasField("dynamic_batching")
    single = read(replace(PLAN, profiles=(profile(1, 1, 1),)))
    assert (single.max_batch_size, single.HasField("dynamic_batching")) == (1, False)


def test_one_value_for_each_of_a_batch() -> None:
    found = read(replace(ONNX, signature=Signature((Tensor("x", "BYTES", ("n",)),), (Tensor("y", "FP32", ("n",)),))))
    assert (found.input[0].data_type, list(found.input[0].dims)) == (13, [1])
    assert found.input[0].HasField("reshape")
    assert list(found.input[0].reshape.shape) == []


@pytest.mark.parametrize(
    ("explicit", "source", "largest"),
    [(None, 4, 4), (None, 99, 8), (None, None, 8), (2, 4, 2), (None, 0, 0), (3, 0, 3)],
)
def test_the_largest_batch_is_the_sources_within_what_the_profiles_allow(
    explicit: int | None, source: int | None, largest: int
) -> None:
    made = replace(PLAN, max_batch_size=explicit, source=SourceConfig(max_batch_size=source))
    assert read(made).max_batch_size == largest
    assert list(read(made).input[0].dims) == ([-1, 1] if largest else [-1, -1, 1])


def test_sizes_labels_and_scheduling_of_the_source_are_kept(tmp_path: Path) -> None:
    source = SourceConfig(
        max_batch_size=16,
        tensors={"audio": SourceTensor((43844, 1)), "note": SourceTensor((172, 88), "pitches.txt")},
        scheduling={"response_cache": "enable: true\n"},
        dynamic_batching="max_queue_delay_microseconds: 50\npriority_levels: 2\n",
        files={"pitches.txt": tmp_path / "pitches.txt"},
    )
    for made in (PLAN, ONNX):
        found = read(replace(made, source=source))
        assert list(found.input[0].dims) == [43844, 1]
        assert found.output[0].label_filename == "pitches.txt"
        assert found.response_cache.enable
        assert found.dynamic_batching.max_queue_delay_microseconds == 50
        assert (found.dynamic_batching.priority_levels, list(found.dynamic_batching.preferred_batch_size)) == (2, [4])
    assert read(replace(ONNX, source=replace(source, files={}))).output[0].label_filename == ""


def test_dims_that_mean_something_else_are_not_kept() -> None:
    for tensors in ({"audio": SourceTensor((5,))}, {"other": SourceTensor((43844, 1))}):
        found = read(replace(ONNX, source=SourceConfig(max_batch_size=16, tensors=tensors)))
        assert list(found.input[0].dims) == [-1, 1]
    with_batch = SourceConfig(max_batch_size=0, tensors={"audio": SourceTensor((7, 1))})
    assert list(read(replace(ONNX, max_batch_size=8, source=with_batch)).input[0].dims) == [-1, 1]


def test_a_model_with_a_state_is_not_batched_dynamically() -> None:
    source = SourceConfig(max_batch_size=4, scheduling={"sequence_batching": "max_sequence_idle_microseconds: 7\n"})
    found = read(replace(ONNX, source=source))
    assert found.sequence_batching.max_sequence_idle_microseconds == 7
    assert not found.HasField("dynamic_batching")


def test_warm_up_requests_are_kept_where_they_still_fit() -> None:
    value = 'inputs { key: "audio" value { data_type: TYPE_FP32 dims: 9 zero_data: true } }'
    text = f'name: "sample"\nbatch_size: 1\n{value}\n'
    fitting = Warmup(text, 1, {"audio": "FP32"})
    others = (replace(fitting, inputs={"audio": "INT8"}), replace(fitting, batch_size=9))
    found = read(replace(PLAN, source=SourceConfig(warmups=(fitting, *others))))
    assert [each.name for each in found.model_warmup] == ["sample"]
    assert read(replace(ONNX, source=SourceConfig(warmups=(fitting, fitting)))).model_warmup[1].name == "sample"


@pytest.mark.parametrize(
    ("tensor", "told"),
    [
        (Tensor("x", "FP32", None), "publish, node x: input 'x' does not say how many dimensions it has; export"),
        (Tensor("x", "", (1,)), "input 'x' has a datatype Triton cannot carry"),
    ],
)
def test_what_triton_cannot_be_told(tensor: Tensor, told: str) -> None:
    with pytest.raises(Unsupported, match=told):
        replace(ONNX, signature=Signature((tensor,), SIGNATURE.outputs))()


def test_names_are_written_so_that_they_come_back() -> None:
    odd = 'a"b\\c:0 \n\u00e9'
    found = read(replace(ONNX, signature=Signature((Tensor(odd, "FP32", (1,)),), SIGNATURE.outputs)))
    assert found.input[0].name == odd


def test_a_changed_text_is_told_from_our_own() -> None:
    text = replace(ONNX, lineage="speech version 1, int8")()
    assert "; made from speech version 1, int8\n" in text.splitlines(keepends=True)[0]
    assert is_ours(text)
    assert not is_ours(text + "\n")
    assert not is_ours('name: "m"')
    assert replace(ONNX, signature=lambda: SIGNATURE)() == ONNX()

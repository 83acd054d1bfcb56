import dataclasses
from typing import Any

import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.config_text import is_complete
from gateway.repository.configure import configure, rename
from gateway.repository.description import Description, Hints, Tensor
from gateway.repository.handwritten import parse, split
from gateway.repository.hardware import Hardware
from gateway.repository.warmup import Warmup, WarmupInput

CPU, GPU = Hardware(8, 0), Hardware(8, 1)
MODEL = Description(
    "onnx",
    "onnxruntime",
    "onnx",
    (Tensor("x", "FP32", (-1, 3, -1)),),
    (Tensor("y", "FP32", (-1, 10), labels="labels.txt"), Tensor("z", "FP32", (-1,))),
    True,
    "model.onnx",
)
FIXED = dataclasses.replace(
    MODEL, inputs=(Tensor("x", "FP32", (1, 3)),), outputs=(Tensor("y", "FP32", ()),), batches=False
)
WARMUP = Warmup(2, (WarmupInput("x", "FP32", (3, 8)),))


def config(existing: str | None = None, model: Description = MODEL, hints: Hints | None = None) -> tuple[str, Any]:
    text = configure("net", model, hints or Hints(), CPU, existing, WARMUP)
    return text, parse(text)


def test_a_model_that_batches_gets_everything() -> None:
    text, message = config()
    assert (message.name, message.backend, message.max_batch_size) == ("net", "onnxruntime", 64)
    assert [(each.name, list(each.dims)) for each in (*message.input, *message.output)] == [
        ("x", [3, -1]),
        ("y", [10]),
        ("z", [1]),
    ]
    assert message.output[0].label_filename == "labels.txt"
    assert list(message.dynamic_batching.preferred_batch_size) == [4]
    assert message.instance_group[0].count == 2
    assert message.version_policy.latest.num_versions == 1
    assert message.model_warmup[0].batch_size == 2
    assert not message.default_model_filename
    assert is_complete(text)


def test_a_model_that_does_not_batch_gets_no_batching() -> None:
    text, message = config(model=FIXED)
    assert message.max_batch_size == 0
    assert [list(each.dims) for each in (*message.input, *message.output)] == [[1, 3], [1]]
    assert not message.HasField("dynamic_batching")
    assert "max_batch_size: 0" in text
    assert is_complete(text)


def test_the_hardware_decides_how_requests_are_batched() -> None:
    message = parse(configure("net", MODEL, Hints(), GPU))
    assert message.dynamic_batching.max_queue_delay_microseconds == 100
    assert message.instance_group[0].count == 1
    assert not message.model_warmup


def test_hints_give_the_size_of_batches() -> None:
    assert config(hints=Hints(max_batch_size=2))[1].dynamic_batching.preferred_batch_size == [2]
    _, message = config(hints=Hints(max_batch_size=1))
    assert (message.max_batch_size, message.HasField("dynamic_batching")) == (1, False)
    _, message = config(hints=Hints(max_batch_size=0))
    assert (message.max_batch_size, list(message.input[0].dims)) == (0, [-1, 3, -1])
    assert list(message.model_warmup[0].inputs["x"].dims) == [1, 3, 8]


def test_hints_that_contradict_are_refused() -> None:
    with pytest.raises(ModelRefused, match="max_batch_size is 8, but the model does not batch"):
        config(model=FIXED, hints=Hints(max_batch_size=8))
    with pytest.raises(ModelRefused, match="leave out the batch in front, but the hints say max_batch_size 0"):
        config('input { name: "x" dims: [ 3, 8 ] }', hints=Hints(max_batch_size=0))
    with pytest.raises(ModelRefused, match="have the batch in front, but the hints say max_batch_size 8"):
        config('input { name: "x" dims: [ -1, 3, 8 ] }', hints=Hints(max_batch_size=8))
    with pytest.raises(ModelRefused, match=r"config\.pbtxt says max_batch_size 4, but the hints say 8; keep one"):
        config("max_batch_size: 4", hints=Hints(max_batch_size=8))


@pytest.mark.parametrize(("kind", "backend"), [("xgboost", "fil"), ("skops", "fil"), ("skops", "onnxruntime")])
def test_models_of_tables_take_many_rows_at_once(kind: str, backend: str) -> None:
    model = dataclasses.replace(MODEL, kind=kind, backend=backend, filename="")
    assert config(model=model)[1].max_batch_size == 1024


def test_another_file_name_than_the_backends_own_is_written() -> None:
    model = dataclasses.replace(MODEL, backend="pytorch", filename="model.pt2")
    assert config(model=model)[1].default_model_filename == "model.pt2"


def test_hand_written_text_stays_and_only_what_it_lacks_is_added() -> None:
    by_hand = "# ours\nmax_batch_size: 2\n\tdynamic_batching { preferred_batch_size: 2 } # two"
    text, message = config(by_hand)
    assert text.startswith(f"{by_hand}\n# Added by triton-gateway")
    assert (message.max_batch_size, list(message.dynamic_batching.preferred_batch_size)) == (2, [2])
    assert "dynamic_batching" not in split(text)[1]
    assert "max_batch_size" not in split(text)[1]


def test_configuring_again_replaces_what_was_generated() -> None:
    text, _ = config("max_batch_size: 2\n")
    assert config(text)[0] == text
    wider = dataclasses.replace(MODEL, outputs=(Tensor("y", "FP32", (-1, 20)),))
    again, message = config(text, wider)
    assert again.startswith("max_batch_size: 2\n# Added")
    assert [list(each.dims) for each in message.output] == [[20]]
    assert again.count("# Added by") == 1


def test_what_was_edited_below_the_marker_counts_as_hand_written() -> None:
    text, _ = config()
    edited = text.replace("max_batch_size: 64", "max_batch_size: 16")
    again, message = config(edited)
    assert again == edited
    assert message.max_batch_size == 16
    with pytest.raises(ModelRefused, match=r"output 'y': dims are \[10\] in config.pbtxt, but \[20\]"):
        config(edited, dataclasses.replace(MODEL, outputs=(Tensor("y", "FP32", (-1, 20)),)))


@pytest.mark.parametrize("scheduler", ["sequence_batching { }", "ensemble_scheduling { }"])
def test_a_model_has_one_scheduler(scheduler: str) -> None:
    _, message = config(scheduler)
    assert message.WhichOneof("scheduling_choice") == scheduler.partition(" ")[0]
    assert not message.model_warmup


def test_a_platform_stands_for_a_backend() -> None:
    assert not config('platform: "onnxruntime_onnx"')[1].backend


def test_parameters_are_added_one_by_one() -> None:
    model = dataclasses.replace(MODEL, parameters={"model_type": "xgboost", "output_class": "true"})
    by_hand = 'parameters { key: "output_class" value { string_value: "false" } }\n'
    _, message = config(by_hand, model)
    values = {key: value.string_value for key, value in message.parameters.items()}
    assert values == {"model_type": "xgboost", "output_class": "false"}


def test_warm_up_is_left_out_where_hand_written_inputs_take_no_such_request() -> None:
    assert config('input { name: "x" dims: [ 3, 8 ] }')[1].model_warmup
    assert not config('input { name: "x" dims: [ 3, 9 ] }')[1].model_warmup
    assert config("max_batch_size: 1")[1].model_warmup[0].batch_size == 1
    assert not config("model_transaction_policy { decoupled: true }")[1].model_warmup


def test_a_broken_configuration_is_refused_and_not_completed() -> None:
    with pytest.raises(ModelRefused, match=r"config\.pbtxt, line 2, column 1"):
        config("\n}")


def test_a_configuration_is_renamed_and_stays_configurable() -> None:
    for existing in (None, "max_batch_size: 2\n", 'name: "net"\ninput { name: "x" dims: [ 3, 8 ] }'):
        text, message = config(existing)
        renamed = rename(text, "net.candidate")
        other = parse(renamed)
        assert other.name == "net.candidate"
        other.name = "net"
        assert other == message
        assert len(split(renamed)[0]) - len(split(text)[0]) in (0, len(".candidate"))
        assert rename(renamed, "net") == text


def test_a_configuration_without_a_name_gets_one() -> None:
    assert rename('backend: "python"\n', "a") == 'name: "a"\nbackend: "python"\n'

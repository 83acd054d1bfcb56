from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from gateway.repository.config_text import (
    is_complete,
    quoted,
    top_level_fields,
    top_level_strings,
    with_top_level_string,
)

ROOT = Path(__file__).parents[3]
ONE = '{ name: "A" data_type: TYPE_FP32 dims: [ 2 ] }'


def test_strings_at_the_top_level_are_found_and_others_are_not() -> None:
    text = """
        # backend: "no"
        backend: "onnxruntime"  platform: 'p'
        input [ { name: "A # not a comment" } ]
        parameters { key: "backend" value { string_value: "x" } }
        default_model_filename: "m.onnx"
    """
    assert dict(top_level_strings(text)) == {
        "backend": "onnxruntime",
        "platform": "p",
        "default_model_filename": "m.onnx",
    }


@pytest.mark.parametrize(
    "config", sorted((ROOT / "model_repository").glob("*/config.pbtxt")), ids=lambda p: p.parent.name
)
def test_the_sample_models_are_complete(config: Path) -> None:
    assert is_complete(config.read_text())


@pytest.mark.parametrize(
    "text",
    [
        f"max_batch_size: 0 input {ONE} output {ONE}",
        f'max_batch_size: 8 input [ {ONE}, {ONE} ] output [ {ONE} ] instance_group {{ name: "x" count: 1 }}',
        f'max_batch_size: 8 input {ONE} output {{ name: "B" data_type: TYPE_INT8 dims: 1 reshape {{ shape: [] }} }}',
        f'input: <name: "A" data_type: TYPE_INT8 dims: -1> output: {ONE} max_batch_size: 1',
    ],
)
def test_every_way_to_write_a_complete_one_is_understood(text: str) -> None:
    assert is_complete(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"input {ONE} output {ONE}",  # no max_batch_size
        f"max_batch_size: 1 input {ONE}",
        f'max_batch_size: 1 input {ONE} output {{ name: "B" dims: [ 1 ] }}',
        f'max_batch_size: 1 input {ONE} output [ {ONE}, {{ name: "B" data_type: TYPE_INT8 }} ]',
        f"# max_batch_size: 1\ninput {ONE} output {ONE}",
        f'max_batch_size: 1 input {ONE} output {{ name: "A" data_type: TYPE_INT8 dims: [] reshape {{ shape: [] }} }}',
        f'max_batch_size: 1 parameters {{ key: "input" }} output {ONE}',
        'max_batch_size: 1 input { name: "data_type dims" } output { name: "x" }',
        "}}} max_batch_size: 1 {{{",
    ],
)
def test_in_doubt_it_is_not(text: str) -> None:
    assert not is_complete(text)


def test_fields_at_the_top_level_are_found_whatever_their_value() -> None:
    text = """
        max_batch_size: 0  # batch: no
        input [ { name: "A" } ]
        version_policy: { all { } }; 'backend' dynamic_batching < >
    """
    assert top_level_fields(text) == {"max_batch_size", "input", "version_policy", "dynamic_batching"}


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ('name: "a"  # name: "c"\nx { name: "d" }', 'name: "b"  # name: "c"\nx { name: "d" }'),
        ("x { name: 'd' }\nname 'a'", "x { name: 'd' }\nname \"b\""),
        ('name: "a" \'c\'\n "d" backend: "x"', 'name: "b" backend: "x"'),
        ('name: "" backend: "x"', 'name: "b" backend: "x"'),
        ('backend: "name"', 'name: "b"\nbackend: "name"'),
        ("", 'name: "b"\n'),
    ],
)
def test_a_string_is_replaced_and_nothing_else(text: str, changed: str) -> None:
    assert with_top_level_string(text, "name", "b") == changed


def test_every_string_can_be_quoted() -> None:
    for value in ("plain", 'a"b', "a\\b", "two\nlines", "Grüße", "\x00\u2028"):
        message = text_format.Parse(f"name: {quoted(value)}", ModelConfig())
        assert message.name == value

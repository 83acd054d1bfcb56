from pathlib import Path

import pytest

from gateway.repository.config_text import is_complete, top_level_strings

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

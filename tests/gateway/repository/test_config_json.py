"""A configuration as backends get it."""

from __future__ import annotations

from gateway.repository.config_json import as_json
from gateway.repository.handwritten import parse

CONFIG = """
name: "m"
max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [ 3, -1 ] reshape { shape: [] } }
instance_group { count: 2 kind: KIND_CPU }
parameters { key: "threads" value { string_value: "1" } }
dynamic_batching { max_queue_delay_microseconds: 100 }
"""


def test_it_is_plain_values_with_numbers_as_numbers() -> None:
    config = as_json(parse(CONFIG))
    assert config["input"][0]["dims"] == [3, -1]
    assert config["input"][0]["data_type"] == "TYPE_FP32"
    assert config["input"][0]["reshape"] == {"shape": []}
    assert config["parameters"] == {"threads": {"string_value": "1"}}
    assert config["dynamic_batching"]["max_queue_delay_microseconds"] == 100
    assert config["instance_group"][0]["count"] == 2


def test_defaults_are_there_and_messages_that_are_not_given_are_not() -> None:
    config = as_json(parse('name: "m"'))
    assert config["max_batch_size"] == 0
    assert config["input"] == []
    assert config["default_model_filename"] == ""
    assert "dynamic_batching" not in config
    assert "sequence_batching" not in config

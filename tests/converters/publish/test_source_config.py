from __future__ import annotations

import sys
from pathlib import Path

import pytest

from converters.errors import BadSource, ToolMissing
from converters.publish.source_config import SourceConfig, SourceTensor, read_source_config

CONFIG = """
backend: "tensorflow"
max_batch_size: 16
input [ { name: "x" data_type: TYPE_FP32 dims: [ 43844, 1 ] } ]
output [
  { name: "note" data_type: TYPE_FP32 dims: [ -1, 88 ] label_filename: "pitches.txt" },
  { name: "more" data_type: TYPE_FP32 dims: [ 2 ] label_filename: "absent.txt" }
]
dynamic_batching { preferred_batch_size: [ 8 ] max_queue_delay_microseconds: 50 priority_levels: 2 }
response_cache { enable: true }
model_warmup [ {
  name: "sample"
  batch_size: 1
  inputs { key: "x" value { data_type: TYPE_STRING dims: [ 1 ] input_data_file: "x" } }
} ]
"""


def test_what_conversions_keep(tmp_path: Path) -> None:
    (tmp_path / "config.pbtxt").write_text(CONFIG)
    (tmp_path / "pitches.txt").write_text("A0\n")
    (tmp_path / "warmup").mkdir()
    (tmp_path / "warmup" / "x").write_bytes(b"")
    found = read_source_config(tmp_path)
    assert found.max_batch_size == 16
    assert found.tensors["x"] == SourceTensor((43844, 1))
    assert found.tensors["note"] == SourceTensor((-1, 88), "pitches.txt")
    assert found.files == {"pitches.txt": tmp_path / "pitches.txt", "warmup/x": tmp_path / "warmup" / "x"}
    assert found.dynamic_batching.split() == ["max_queue_delay_microseconds:", "50", "priority_levels:", "2"]
    assert list(found.scheduling) == ["response_cache"]
    assert (found.warmups[0].batch_size, found.warmups[0].inputs) == (1, {"x": "BYTES"})


def test_a_model_without_a_configuration_and_one_that_says_nothing_of_batches(tmp_path: Path) -> None:
    assert read_source_config(tmp_path) == SourceConfig()
    (tmp_path / "config.pbtxt").write_text('backend: "onnxruntime"')
    assert read_source_config(tmp_path).max_batch_size is None
    (tmp_path / "config.pbtxt").write_text("max_batch_size: 0")
    assert read_source_config(tmp_path).max_batch_size == 0


def test_a_configuration_that_triton_could_not_read_either(tmp_path: Path) -> None:
    (tmp_path / "config.pbtxt").write_text("max_batch: 3")
    with pytest.raises(BadSource, match=r"config\.pbtxt is no configuration of Triton's: 1:1.*max_batch.*; correct"):
        read_source_config(tmp_path)


def test_without_the_protocols_descriptors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tritonclient.grpc.model_config_pb2", None)
    (tmp_path / "config.pbtxt").write_text(CONFIG)
    with pytest.raises(ToolMissing, match=r"is not installed, which reads .*; pip install 'tritonclient\[grpc\]'"):
        read_source_config(tmp_path)

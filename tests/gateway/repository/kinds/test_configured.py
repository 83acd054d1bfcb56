from __future__ import annotations

from pathlib import Path

import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.description import Tensor
from gateway.repository.handwritten import parse
from gateway.repository.kinds.configured import datatype_of, read_config, refuse_missing_labels, tensors

CONFIG = """
input [
  { name: "A" data_type: TYPE_STRING dims: [ 3, -1 ] optional: true },
  { name: "no datatype" dims: [ 1 ] },
  { name: "no dims" data_type: TYPE_FP32 }
]
output { name: "B" data_type: TYPE_FP16 dims: [ 2 ] label_filename: "b.txt" }
"""


def test_complete_tensors_are_told_with_the_batch_in_front() -> None:
    config = parse(CONFIG)
    assert tensors(config.input, batches=False) == (Tensor("A", "BYTES", (3, -1), optional=True),)
    assert tensors(config.output, batches=True) == (Tensor("B", "FP16", (-1, 2), labels="b.txt"),)
    assert [datatype_of(entry) for entry in config.input] == ["BYTES", "", "FP32"]


def test_a_configuration_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert read_config(tmp_path) is None


def test_a_configuration_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.pbtxt").write_bytes(b"\xff\xfe")
    with pytest.raises(ModelRefused, match="not text in UTF-8"):
        read_config(tmp_path)


def test_label_files_must_be_there(tmp_path: Path) -> None:
    outputs = parse(CONFIG).output
    with pytest.raises(ModelRefused, match=r"label file 'b\.txt' for output 'B'"):
        refuse_missing_labels(tmp_path, outputs)
    (tmp_path / "b.txt").write_text("x\n")
    refuse_missing_labels(tmp_path, outputs)

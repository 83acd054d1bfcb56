from __future__ import annotations

import errno

import numpy as np
import onnx
import pytest
from onnx import helper

from converters.errors import BadData, OutOfResources, Unsupported
from converters.precision import probe
from converters.precision.probe import Probe
from tests.converters.precision.int8_models import FLOAT, convolutions, graph, images

NODES = [helper.make_node("ReduceMax", ["r1"], ["most"]), helper.make_node("Identity", ["x"], ["same"])]


def test_tensors_inside_a_model_and_nothing_else() -> None:
    model = convolutions()
    before = model.SerializeToString()
    feeds = next(iter(images(1)))
    with Probe(model, NODES, ["same", "most"]) as inside:
        same, most = inside.run(feeds)
    assert np.array_equal(same, feeds["x"])
    assert most.item() > 0
    assert model.SerializeToString() == before


def test_weights_in_a_file_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    feeds = next(iter(images(1)))
    with Probe(convolutions(), NODES, ["most"]) as inside:
        expected = inside.run(feeds)
    monkeypatch.setattr(probe, "EXTERNAL_BYTES", 0)
    with Probe(convolutions(), NODES, ["most"]) as inside:
        assert inside.run(feeds) == expected


def test_tensor_that_is_not_there() -> None:
    with pytest.raises(Unsupported, match="tensor 'nothing' is not in the model's main graph"):
        Probe(convolutions(), [helper.make_node("Identity", ["nothing"], ["z"])], ["z"])


def test_model_that_cannot_run() -> None:
    custom = helper.make_node("Special", ["x"], ["y"], domain="own.domain")
    model = graph([custom], [helper.make_tensor_value_info("x", FLOAT, [1])], ["y"], {})
    model.opset_import.append(helper.make_opsetid("own.domain", 1))
    with pytest.raises(Unsupported, match=r"ONNX Runtime does not take the model: .*Special"):
        Probe(model, [], ["y"])


def test_data_that_the_model_fails_on() -> None:
    with (
        Probe(convolutions(), [], ["y"]) as inside,
        pytest.raises(BadData, match="the model fails on this data in ONNX Runtime"),
    ):
        inside.run({"x": np.zeros((1, 5, 4, 4), np.float32)})


def test_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(onnx, "save", full)
    with pytest.raises(OutOfResources, match=r"no space is left in .*; free some, or set TMPDIR"):
        Probe(convolutions(), [], ["y"])


def test_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise MemoryError

    monkeypatch.setattr(onnx, "save", full)
    with pytest.raises(OutOfResources, match="calibrate with smaller batches"):
        Probe(convolutions(), [], ["y"])

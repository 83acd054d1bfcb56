from __future__ import annotations

import weakref
from typing import Literal

import numpy as np
import pytest
from onnx import TensorProto, helper

from converters.arrays import Array, Feeds
from converters.errors import BadData, Unsupported
from converters.precision.base import Calibration
from converters.precision.probe import Probe
from converters.precision.ranges import ranges
from tests.converters.precision.int8_models import FLOAT, Batches, convolutions, graph, images

METHODS: tuple[Literal["minmax", "entropy", "percentile"], ...] = ("minmax", "entropy", "percentile")
TENSORS = ("x", "c1", "r1", "y")


def seen(data: Batches) -> dict[str, Array]:
    """All values of the tensors, as the model gives them."""
    with Probe(convolutions(), [helper.make_node("Identity", ["x"], ["same"])], ["same", *TENSORS[1:]]) as inside:
        batches = [inside.run(feeds) for feeds in data]
    return {name: np.concatenate([batch[i].ravel() for batch in batches]) for i, name in enumerate(TENSORS)}


def test_minmax_is_the_whole_range_of_all_batches() -> None:
    data = images(3)
    values = seen(data)
    found = ranges(convolutions(), data, Calibration(), TENSORS)
    assert list(found) == list(TENSORS)
    for name, (low, high) in found.items():
        assert (low, high) == (values[name].min(), values[name].max())
    assert found["r1"][0] == 0


@pytest.mark.parametrize("fetched_bytes", [1, 1 << 20])
def test_percentile_is_of_absolute_values_whatever_is_fetched_at_a_time(fetched_bytes: int) -> None:
    data = images(3)
    values = seen(data)
    calibration = Calibration(method="percentile", percentile=95)
    for name, (low, high) in ranges(convolutions(), data, calibration, TENSORS, fetched_bytes=fetched_bytes).items():
        limit = np.percentile(np.abs(values[name]), 95)
        assert high == pytest.approx(min(limit, values[name].max()), rel=0.01)
        assert low == pytest.approx(max(-limit, values[name].min()), rel=0.01)


def test_entropy_cuts_outliers_off() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(1, 100_000)).astype(np.float32)
    x[0, :5] = 80
    model = graph(
        [helper.make_node("Neg", ["x"], ["y"])], [helper.make_tensor_value_info("x", FLOAT, [1, "n"])], ["y"], {}
    )
    found = ranges(model, Batches([{"x": x}]), Calibration(method="entropy"), ["x", "y"])
    assert 2 < found["x"][1] < 10
    assert found["y"][0] == -found["x"][1]


def test_integers_and_other_floats() -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["half"], to=TensorProto.FLOAT16),
        helper.make_node("Cast", ["x"], ["whole"], to=TensorProto.INT32),
        helper.make_node("Cast", ["whole"], ["y"], to=FLOAT),
    ]
    model = graph(nodes, [helper.make_tensor_value_info("x", FLOAT, ["n"])], ["y"], {})
    found = ranges(model, Batches([{"x": np.array([-2.5, 7.25], np.float32)}]), Calibration(), ["half", "whole"])
    assert found == {"half": (-2.5, 7.25), "whole": (-2, 7)}


def test_tensors_without_elements() -> None:
    model = graph(
        [helper.make_node("NonZero", ["x"], ["found"]), helper.make_node("Cast", ["found"], ["y"], to=FLOAT)],
        [helper.make_tensor_value_info("x", FLOAT, ["n"])],
        ["y"],
        {},
    )
    none = {"x": np.zeros(3, np.float32)}
    some = {"x": np.ones(3, np.float32)}
    for method in METHODS:
        calibration = Calibration(method=method, percentile=100)
        assert ranges(model, Batches([none]), calibration, ["y"]) == {"y": (0, 0)}
        assert ranges(model, Batches([none, some, none]), calibration, ["y"]) == {"y": (0, 2)}


@pytest.mark.parametrize("bad", [-1.0, 0.0])
def test_nan_and_infinity_inside_the_model_name_node_and_batch(bad: float) -> None:
    model = graph(
        [helper.make_node("Log", ["x"], ["l"], name="logarithm"), helper.make_node("Relu", ["l"], ["y"])],
        [helper.make_tensor_value_info("x", FLOAT, ["n"])],
        ["y"],
        {},
    )
    data = Batches([{"x": np.array([value, 2], np.float32)} for value in (1.0, bad)])
    with pytest.raises(BadData) as caught:
        ranges(model, data, Calibration(), ["x", "l"])
    assert str(caught.value).startswith(
        "node logarithm (Log): tensor 'l' becomes NaN or infinite for batch 1 of a list"
    )


def test_data_is_checked_before_the_model_sees_it() -> None:
    feeds: Feeds = {"x": np.zeros((3, 5), np.float32)}
    with pytest.raises(BadData, match="batch 0 of a list has 2 dimensions"):
        ranges(convolutions(), Batches([feeds]), Calibration(), ["y"])
    with pytest.raises(BadData, match="a list holds no data"):
        ranges(convolutions(), Batches([]), Calibration(), ["y"])


def test_unknown_and_no_tensors() -> None:
    with pytest.raises(Unsupported, match="tensor 'c9' is not in"):
        ranges(convolutions(), images(1), Calibration(), ["c9"])
    assert ranges(convolutions(), images(1), Calibration(), []) == {}


@pytest.mark.parametrize("method", METHODS)
def test_tensors_are_let_go_of_batch_by_batch(
    method: Literal["minmax", "entropy", "percentile"], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[list[weakref.ref[Array]]] = []
    alive: list[int] = []

    class Watched(Probe):
        def run(self, feeds: Feeds) -> list[Array]:
            alive.append(sum(tensor() is not None for batch in fetched for tensor in batch))
            result = super().run(feeds)
            fetched.append([weakref.ref(tensor) for tensor in result])
            return result

    monkeypatch.setattr("converters.precision.ranges.Probe", Watched)
    ranges(convolutions(), images(6), Calibration(method=method), TENSORS)
    assert len(alive) == (6 if method == "minmax" else 12)
    assert max(alive[:6]) <= 4 * len(TENSORS)  # single numbers, of the batch before
    assert max(alive[6:], default=0) <= 1

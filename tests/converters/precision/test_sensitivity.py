import math

import numpy as np
import pytest

from converters.errors import BadData
from converters.precision.base import Calibration
from converters.precision.bisect import nodes_to_keep
from converters.precision.emulated import EmulatedFromMixed
from converters.precision.fp8 import Fp8FromOnnx
from converters.precision.low import BF16, FP16
from converters.precision.mixed import mixed
from converters.precision.sensitivity import losses, suspects
from tests.converters.precision.graphs_in_text import Batches, conv_net, graph, run

# A sum of squares that FP16 cannot hold, between things that it can.
OVERFLOWING = """(float[N, 8] x) => (float[N, 1] y) {
    a = Mul(x, hundred)
    b = Relu(a)
    c = Add(b, one)
    square = Mul(c, c)
    sum = ReduceSum(square, axes)
    root = Sqrt(sum)
    y = Mul(root, small)
}"""
WEIGHTS = {
    "hundred": np.array(100, np.float32),
    "one": np.array(1, np.float32),
    "small": np.array(0.01, np.float32),
    "axes": np.array([1]),
}
X = {"x": np.random.default_rng(3).uniform(1, 2, (4, 8)).astype(np.float32)}


def test_an_overflow_is_where_the_loss_begins() -> None:
    model = graph(OVERFLOWING, weights=WEIGHTS)
    found = losses(model, mixed(model, FP16, keep_io=True).model, [X])
    assert (found[0].node, found[0].error, found[0].added) == ("sum", math.inf, math.inf)
    assert {loss.node: loss.added for loss in found}["root"] == 0
    assert all(loss.error < 0.01 for loss in found if loss.node in {"a", "b", "c"})


def test_neighbours_are_suspected_too_and_a_search_then_needs_few_attempts() -> None:
    model = graph(OVERFLOWING, weights=WEIGHTS)
    candidates = suspects(model, losses(model, mixed(model, FP16, keep_io=True).model, [X]))
    assert candidates[0] == "sum"
    assert set(candidates[1:3]) == {"square", "root"}
    wanted = run(model, X)["y"]

    def passes(kept: frozenset[str]) -> bool:
        result = run(EmulatedFromMixed(mixed(model, FP16, keep_io=True, keep=kept).model)(), X)["y"]
        return bool(np.allclose(result, wanted, rtol=1e-2))

    assert nodes_to_keep(candidates, passes, limit=8) == {"sum", "root"}


def test_models_of_another_operator_set_and_q_dq_are_compared_too() -> None:
    model, feeds = conv_net()
    names = {node.name for node in model.graph.node} - {"shape"}
    bf16 = losses(model, mixed(model, BF16, keep_io=False).model, [feeds, feeds])
    assert {loss.node for loss in bf16} == names
    assert all(0 <= loss.added <= loss.error < 0.2 for loss in bf16)
    fp8 = losses(model, Fp8FromOnnx(model, Batches([feeds]), Calibration())(), [feeds])
    assert {loss.node for loss in fp8} == names
    assert fp8[0].node in {"first", "second", "third", "logits", "both"}


def test_the_same_model_loses_nothing() -> None:
    model, feeds = conv_net()
    assert all(loss.error == 0 for loss in losses(model, model, [feeds]))


def test_without_data_nothing_can_be_said() -> None:
    model, _ = conv_net()
    with pytest.raises(BadData, match="no data"):
        losses(model, model, [])

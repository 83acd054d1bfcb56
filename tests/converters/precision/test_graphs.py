import numpy as np
import pytest

from converters.errors import ConfigError, Unsupported
from converters.graph.subgraphs import subgraphs
from converters.precision.graphs import (
    captured,
    check_names,
    checked,
    drop_unused_weights,
    prepared,
    replace,
    unused,
    value_names,
)
from tests.converters.precision.graphs_in_text import graph, operators

BRANCHES = """(bool c, float[2] x) => (float[2] y) {
    a = Relu(x)
    y = If(c) <then_branch = yes () => (float[2] p) { p = Mul(a, a) },
        else_branch = no () => (float[2] q) { q = Neg(x) }>
}"""


def test_constants_become_weights_and_the_model_given_stays() -> None:
    model = graph("(float[2] x) => (float[2] y) { k = Constant<value_float = 2.0>() y = Mul(x, k) }")
    before = model.SerializeToString()
    ready = prepared(model)
    assert operators(ready) == ["Mul"]
    assert [tensor.name for tensor in ready.graph.initializer] == ["k"]
    assert model.SerializeToString() == before


def test_weights_are_no_inputs() -> None:
    model = graph("(float[2] x, float[2] w) => (float[2] y) { y = Mul(x, w) }", weights={"w": np.ones(2, np.float32)})
    assert [value.name for value in prepared(model).graph.input] == ["x"]


def test_an_older_model_is_rewritten_and_keeps_its_nodes_names() -> None:
    ready = prepared(graph("(float[2, 3] x) => (float[2, 3] y) { y = Softmax(x) }", opset=11), opset=22)
    assert ready.opset_import[0].version == 22
    assert ready.ir_version >= 10
    assert "y" in {node.name for node in ready.graph.node}
    assert len({node.name for node in ready.graph.node}) == len(ready.graph.node)


def test_what_cannot_be_rewritten_is_told() -> None:
    model = graph("(float[2] x) => (float[2] y) { y = NoSuchThing(x) }", opset=11)
    with pytest.raises(Unsupported, match="cannot be rewritten for 22") as caught:
        prepared(model, opset=22)
    assert "export the model with operator set 22" in caught.value.hint


def test_bodies_and_what_they_read() -> None:
    model = graph(BRANCHES)
    branch = model.graph.node[1]
    assert {body.name for body in subgraphs(branch)} == {"yes", "no"}
    assert captured(branch) == {"a", "x", "p", "q"}
    assert value_names(model.graph) == {"c", "x", "y", "a", "p", "q"}


def test_bodies_in_bodies_read_too() -> None:
    inner, outer = graph(BRANCHES), graph(BRANCHES)
    body = next(subgraphs(outer.graph.node[1]))
    body.node[0].CopyFrom(inner.graph.node[1])
    next(subgraphs(body.node[0])).node[0].input[0] = "deep"
    assert "deep" in captured(outer.graph.node[1])


def test_names_are_those_of_the_model_given_though_it_is_rewritten() -> None:
    model = graph("(float[2, 3] x) => (float[2, 3] y) { a = Softmax(x) y = Relu(a) }", opset=11)
    for node in model.graph.node:
        node.name = ""
    name = next(node.name for node in prepared(model).graph.node if node.op_type == "Relu")
    assert name == next(node.name for node in prepared(model, opset=13).graph.node if node.op_type == "Relu")


def test_taken_names_get_a_number() -> None:
    taken = {"a"}
    assert [unused("a", taken), unused("a", taken), unused("b", taken)] == ["a_2", "a_3", "b"]


def test_a_name_that_is_no_nodes_is_told_with_the_nearest() -> None:
    model = graph("(float[2] x) => (float[2] output) { output = Relu(x) }")
    check_names(frozenset({"output"}), model.graph, step="fp16")
    with pytest.raises(ConfigError, match="fp16: there is no node 'outptu' to keep in FP32; did you mean 'output'"):
        check_names(frozenset({"outptu"}), model.graph, step="fp16")


def test_weights_that_only_bodies_read_stay() -> None:
    model = graph(BRANCHES, weights={"a2": np.ones(2, np.float32), "w": np.ones(2, np.float32)})
    next(subgraphs(model.graph.node[1])).node[0].input[1] = "w"
    drop_unused_weights(model.graph)
    assert [tensor.name for tensor in model.graph.initializer] == ["w"]


def test_an_invalid_result_is_told() -> None:
    model = graph("(float[2] x) => (float[2] y) { y = Relu(missing) }")
    with pytest.raises(Unsupported, match="the converted graph is not valid"):
        checked(model, step="fp16")


def test_a_field_can_be_replaced_by_its_own_items() -> None:
    model = graph("(float[2] x) => (float[2] y) { a = Relu(x) y = Neg(a) }")
    replace(model.graph.node, [model.graph.node[1], model.graph.node[0]])
    assert operators(model) == ["Neg", "Relu"]

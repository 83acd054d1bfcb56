from __future__ import annotations

from onnx import GraphProto, NodeProto, TensorProto, helper

from converters.graph.subgraphs import graphs_of, subgraphs


def branching(name: str, *inside: NodeProto) -> NodeProto:
    """An If of that name; its then-branch holds these nodes too."""
    out = [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)]
    branches = {
        "then_branch": helper.make_graph([*inside, helper.make_node("Relu", ["x"], ["out"])], f"{name} then", [], out),
        "else_branch": helper.make_graph([helper.make_node("Neg", ["x"], ["out"])], f"{name} else", [], out),
    }
    return helper.make_node("If", ["yes"], ["y"], name=name, **branches)


def names(graph: GraphProto) -> list[str]:
    return [each.name for each in graphs_of(graph)]


def test_a_node_has_the_graphs_of_its_own() -> None:
    outer = branching("outer", branching("inner"))
    assert {graph.name for graph in subgraphs(outer)} == {"outer then", "outer else"}
    assert list(subgraphs(helper.make_node("Relu", ["x"], ["y"]))) == []


def test_all_graphs_are_found_at_any_depth() -> None:
    graph = helper.make_graph([branching("outer", branching("inner"))], "main", [], [])
    found = names(graph)
    assert found[0] == "main"
    assert sorted(found) == ["inner else", "inner then", "main", "outer else", "outer then"]


def test_lists_of_graphs_count() -> None:
    bodies = [helper.make_graph([], name, [], []) for name in ("one", "two")]
    node = helper.make_node("Many", [], [], domain="my", bodies=bodies)
    assert names(helper.make_graph([node], "main", [], [])) == ["main", "one", "two"]

from onnx import TensorProto, helper

from converters.graph.names import label, name_nodes
from converters.graph.subgraphs import graphs_of
from tests.converters.framework_models import onnx_model


def test_every_node_gets_a_name_of_its_own_and_good_ones_stay() -> None:
    model = onnx_model()
    model.graph.node.extend(
        [
            helper.make_node("Relu", ["y"], ["a"], name="Relu_0"),
            helper.make_node("Relu", ["a"], ["b"], name="twice"),
            helper.make_node("Relu", ["b"], ["c"], name="twice"),
        ]
    )
    name_nodes(model)
    assert [node.name for node in model.graph.node] == ["Add_0", "Relu_1", "Relu_0", "twice", "twice_0"]


def test_the_same_graph_gets_the_same_names_and_naming_again_changes_nothing() -> None:
    first, second = onnx_model(), onnx_model()
    name_nodes(first)
    name_nodes(second)
    name_nodes(second)
    assert first == second


def test_names_are_unique_across_subgraphs() -> None:
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    branch = helper.make_graph([helper.make_node("Relu", ["x"], ["out"])], "branch", [], [out])
    model = onnx_model()
    model.graph.node.append(helper.make_node("If", ["yes"], ["z"], then_branch=branch, else_branch=branch))
    name_nodes(model)
    names = [node.name for graph in graphs_of(model.graph) for node in graph.node]
    assert sorted(names) == ["Add_0", "If_0", "Relu_0", "Relu_1", "Relu_2"]


def test_a_label_tells_name_and_operator() -> None:
    assert label(helper.make_node("Conv", [], [], name="stem")) == "stem (Conv)"
    assert label(helper.make_node("Relu", ["x"], ["y"])) == "'y' (Relu)"
    assert label(helper.make_node("Conv", [], [])) == "(no name) (Conv)"

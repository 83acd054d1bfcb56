import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from converters.errors import Unsupported
from converters.graph.opset import (
    DEFAULT_OPSET,
    declare_opsets,
    opset_of,
    refuse_unknown_operators,
    unknown_nodes,
)
from tests.converters.framework_models import answers, onnx_model


def branching() -> onnx.ModelProto:
    """y = x if yes else nothing that is known."""
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    branches = {
        "then_branch": helper.make_graph([helper.make_node("Relu", ["x"], ["out"])], "then", [], [out]),
        "else_branch": helper.make_graph([helper.make_node("Swirl", ["x"], ["out"], domain="my")], "else", [], [out]),
    }
    graph = helper.make_graph(
        [helper.make_node("If", ["yes"], ["y"], **branches)],
        "tiny",
        [
            helper.make_tensor_value_info("yes", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [3]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("my", 1)])


def test_the_version_of_a_domain() -> None:
    assert opset_of(onnx_model(opset=17)) == 17
    assert opset_of(onnx_model(opset=17), "ai.onnx") == 17
    assert opset_of(onnx_model(), "ai.onnx.ml") == 0


def test_domains_are_declared_once() -> None:
    model = onnx_model(opset=9)
    model.opset_import.append(helper.make_opsetid("ai.onnx", 13))
    model.opset_import.append(helper.make_opsetid("my", 1))
    declare_opsets(model, {"": DEFAULT_OPSET, "ai.onnx.ml": 3})
    assert {entry.domain: entry.version for entry in model.opset_import} == {"": 18, "ai.onnx.ml": 3, "my": 1}
    assert len(model.opset_import) == 3


def test_unknown_operators_are_named_with_their_node() -> None:
    with pytest.raises(Unsupported, match=r"ONNX has no operator for my\.Swirl") as caught:
        refuse_unknown_operators(branching(), step="here")
    assert str(caught.value.place) == "here, node out (my.Swirl)"


def test_functions_of_the_model_and_the_runtimes_own_operators_are_known() -> None:
    model = branching()
    swirl = helper.make_node("Relu", ["a"], ["b"])
    model.functions.append(helper.make_function("my", "Swirl", ["a"], ["b"], [swirl], [helper.make_opsetid("", 18)]))
    model.graph.node.append(helper.make_node("Gelu", ["y"], ["z"], domain="com.microsoft"))
    assert unknown_nodes(model) == ()
    refuse_unknown_operators(model, step="here")


def test_a_typing_error_in_an_operator_is_found() -> None:
    model = onnx_model()
    model.graph.node[1].op_type = "Reloo"
    assert [node.op_type for node in unknown_nodes(model)] == ["Reloo"]


def test_the_default_is_run_by_the_runtime() -> None:
    assert answers(onnx_model(opset=DEFAULT_OPSET), {"x": np.array([[-2.0, 0, 1]], np.float32)})["y"].tolist() == [
        [0, 1, 2]
    ]

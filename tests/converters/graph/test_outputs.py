import numpy as np
import onnx
import pytest

from converters.errors import ConfigError
from converters.graph.outputs import rename_outputs
from tests.converters.framework_models import answers, onnx_model

ROW = np.array([[-3, 0, 1]], np.float32)


def test_outputs_are_renamed_wherever_they_stand() -> None:
    model = onnx_model()
    model.graph.output.append(model.graph.output[0])
    model.graph.output[1].name = "sum"
    rename_outputs(model, {"y": "rectified", "sum": "raw", "z": "unused"})
    found = answers(model, {"x": ROW})
    assert {name: array.tolist() for name, array in found.items()} == {"rectified": [[0, 1, 2]], "raw": [[-2, 1, 2]]}


def test_an_inner_value_makes_way_for_an_output() -> None:
    model = onnx_model()  # y = Relu(sum)
    rename_outputs(model, {"y": "sum"})
    onnx.checker.check_model(model)
    assert {name: array.tolist() for name, array in answers(model, {"x": ROW}).items()} == {"sum": [[0, 1, 2]]}


def test_two_outputs_can_change_names() -> None:
    model = onnx_model()
    model.graph.output.append(model.graph.output[0])
    model.graph.output[1].name = "sum"
    rename_outputs(model, {"y": "sum", "sum": "y"})
    assert answers(model, {"x": ROW})["y"].tolist() == [[-2, 1, 2]]


def test_an_output_cannot_have_an_inputs_name() -> None:
    with pytest.raises(ConfigError, match="an output cannot be called 'x'"):
        rename_outputs(onnx_model(), {"y": "x"})

from converters.graph.signature import signature_of
from converters.to_onnx.tree_names import free_rows
from tests.converters.framework_models import onnx_model


def test_rows_become_dynamic() -> None:
    model = onnx_model((1, 3))
    free_rows(model)
    assert signature_of(model).outputs[0].shape == ("", 3)

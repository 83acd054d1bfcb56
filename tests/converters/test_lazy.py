import onnx

from converters.lazy import value_of


def test_a_source_is_a_value_or_what_makes_it() -> None:
    model = onnx.ModelProto()
    assert value_of(model) is model
    assert value_of(lambda: model) is model

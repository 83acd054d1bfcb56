import pytest
from onnx import helper

from converters.errors import ConfigError
from converters.graph.patterns import matching
from tests.converters.build.building import small_model


def test_names_and_patterns() -> None:
    model = small_model()
    model.graph.node.append(helper.make_node("Relu", ["y"], ["z"], name="odd[0]"))
    assert matching(model, ["first", "s*"], "") == {"first", "second", "sigmoid"}
    assert matching(model, ["odd[0]"], "") == {"odd[0]"}
    assert matching(model, [], "") == frozenset()


def test_what_matches_nothing_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match=r"no node is called 'none.*'; look there"):
        matching(small_model(), ["first", "none*"], "look there")

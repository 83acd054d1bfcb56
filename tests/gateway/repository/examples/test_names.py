import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.repository.examples.names import class_name, identifiers


@pytest.mark.parametrize(
    ("model", "name"),
    [("my-model_v2", "MyModelV2"), ("iris", "Iris"), ("2stage", "Model2stage"), ("none", "ModelNone"), ("A", "A")],
)
def test_a_class_is_named_after_the_model(model: str, name: str) -> None:
    assert class_name(model) == name


def test_what_is_an_identifier_stays_what_it_is() -> None:
    names = ["a:0", "a_0", "class", "self", "0", "::", "_x"]
    assert identifiers(names, ["self"], "input") == {
        "a:0": "a_0_2", "a_0": "a_0", "class": "class_", "self": "self_2", "0": "input_0", "::": "input", "_x": "x"
    }  # fmt: skip


@given(st.sets(st.text()))
def test_every_name_gets_an_identifier_of_its_own(names: set[str]) -> None:
    found = identifiers(names, ["self", "x"], "input")
    assert found.keys() == names
    assert len({*found.values(), "self", "x"}) == len(names) + 2
    assert all(name.isidentifier() and not keyword.iskeyword(name) for name in found.values())

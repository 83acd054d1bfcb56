import pytest

from gateway.core.call import Sequence
from gateway.core.errors import Forbidden, InvalidRequest
from gateway.wire import parameters


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sequence_id", 0),
        ("sequence_id", 2**64 - 1),
        ("sequence_id", ""),
        ("sequence_id", "x" * 128),
        ("sequence_start", True),
        ("sequence_end", False),
        ("priority", 1),
        ("timeout", 0),
        ("binary_data_output", True),
    ],
)
def test_what_clients_may_say_is_let_through(name: str, value: object) -> None:
    parameters.check(name, value, "")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("triton_x", 1, "in parameters.triton_x|reserved"),
        ("headers", {}, "parameters.headers is reserved"),
        ("sequence_id", True, "parameters.sequence_id must be a whole number"),
        ("sequence_id", -1, "0 to 2"),
        ("sequence_id", 2**64, "0 to 2"),
        ("sequence_id", 1.0, "or a text"),
        ("sequence_id", "ü" * 65, "longer than 128 bytes"),
        ("sequence_id", None, "must be"),
        ("sequence_start", 1, "true or false"),
        ("sequence_end", "true", "true or false"),
        ("priority", -1, "0 to 2"),
        ("timeout", "5", "0 to 2"),
        ("timeout", 0.5, "0 to 2"),
        ("binary_data_output", 1, "true or false"),
    ],
)
def test_what_they_may_not_is_refused_with_its_place(name: str, value: object, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words) as refusal:
        parameters.check(name, value, "parameters.")
    assert f"parameters.{name}" in refusal.value.message


def test_a_sequence_has_an_id() -> None:
    assert parameters.sequence_of({"sequence_id": 5, "sequence_start": True}) == Sequence("5", start=True)
    assert parameters.sequence_of({"sequence_id": "s", "sequence_end": True}) == Sequence("s", end=True)
    assert parameters.sequence_of({"sequence_id": 0, "sequence_start": True}) is None
    assert parameters.sequence_of({"sequence_id": ""}) is None
    assert parameters.sequence_of({"priority": 1}) is None


def test_refusals_name_the_place_and_the_way_out() -> None:
    with pytest.raises(Forbidden, match=r"inputs\[0\]: shared memory is switched off.*admin\.shared_memory"):
        parameters.refuse_shared_memory("inputs[0]")
    with pytest.raises(InvalidRequest, match="outputs: 'a' is given twice"):
        parameters.refuse_repeated("a", "outputs")

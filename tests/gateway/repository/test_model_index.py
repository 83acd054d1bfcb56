import pytest

from gateway.repository.model_control import IndexRow
from gateway.repository.model_index import by_model, cause_in, is_changing, ready_versions, reason_of, was_unloaded


def test_rows_are_found_by_their_model() -> None:
    first, second, other = IndexRow("a", "1", "READY"), IndexRow("a", "2", "LOADING"), IndexRow("b")
    assert by_model([first, other, second]) == {"a": [first, second], "b": [other]}


def test_versions_that_are_ready_ascend_as_numbers() -> None:
    rows = [IndexRow("a", "10", "READY"), IndexRow("a", "9", "READY"), IndexRow("a", "8", "UNAVAILABLE")]
    assert ready_versions(rows) == (9, 10)


@pytest.mark.parametrize(("state", "changing"), [("LOADING", True), ("UNLOADING", True), ("READY", False), ("", False)])
def test_a_model_changes_while_a_version_comes_or_goes(state: str, changing: bool) -> None:
    assert is_changing([IndexRow("a", "1", state)]) is changing


def test_a_model_was_unloaded_if_somebody_wanted_that_and_nothing_of_it_is_left() -> None:
    unloaded, failed = IndexRow("a", "1", "UNAVAILABLE", "unloaded"), IndexRow("a", "2", "UNAVAILABLE", "no weights")
    assert was_unloaded([unloaded, failed])
    assert not was_unloaded([failed])
    assert not was_unloaded([unloaded, IndexRow("a", "3", "READY")])
    assert not was_unloaded([IndexRow("a")])
    assert not was_unloaded([])


def test_a_cause_is_what_is_not_an_unload() -> None:
    rows = [IndexRow("a", "1", "UNAVAILABLE", "unloaded"), IndexRow("a", "2", "UNAVAILABLE", "no weights")]
    assert cause_in(rows) == "no weights"
    assert cause_in(rows[:1]) is None


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (
            "load failed for model 'a': version 1 is at UNAVAILABLE state: Internal: ValueError: corrupt;\n",
            "ValueError: corrupt",
        ),
        ("Internal: ValueError: two\nlines\n\nAt:\n  /x/model.py(3): initialize\n", "ValueError: two\nlines"),
        ("Internal: TritonModelException: model.onnx is corrupt", "model.onnx is corrupt"),
        ("Invalid argument: unable to find backend library", "unable to find backend library"),
        (
            "failed to load 'a', failed to poll from model repository",
            "failed to load 'a', failed to poll from model repository",
        ),
    ],
)
def test_a_reason_is_what_is_wrong_without_triton_s_wrapping(message: str, reason: str) -> None:
    assert reason_of(message) == reason

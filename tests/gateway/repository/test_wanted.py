import time

from gateway.repository.loader import NOT_READY
from gateway.repository.model_control import IndexRow
from gateway.repository.site import ModelState
from gateway.repository.wanted import Attempt, Wanted

READY = [IndexRow("a", "1", "READY")]
UNLOADED = [IndexRow("a", "1", "UNAVAILABLE", "unloaded")]


def attempt(reason: str = "", fingerprint: str = "f", expected: int | None = None) -> Attempt:
    return Attempt(fingerprint, expected, reason, 0.5)


def loaded(fingerprint: str = "f") -> Wanted:
    wanted = Wanted(fingerprint)
    wanted.came_back(attempt(fingerprint=fingerprint), READY)
    wanted.state = wanted.succeeded(attempt(fingerprint=fingerprint), (1,))
    return wanted


def test_a_load_is_judged_by_what_the_index_shows_after_it() -> None:
    assert attempt().judge(READY) == ""
    assert attempt("it is broken").judge(READY) == "it is broken"
    assert attempt().judge(UNLOADED) == NOT_READY
    assert attempt(expected=1).judge(READY) == ""
    assert attempt(expected=2).judge(READY) == "Triton serves version 1, and not version 2"


def test_what_is_loaded_is_not_behind_until_its_fingerprint_changes() -> None:
    wanted = loaded()
    assert (wanted.is_behind, wanted.untried, wanted.state.fingerprint) == (False, False, "f")
    wanted.want("g")
    assert (wanted.is_behind, wanted.untried) == (True, True)


def test_a_change_while_a_load_runs_is_still_to_be_tried() -> None:
    wanted = Wanted("f", busy=True)
    wanted.want("g")
    wanted.came_back(attempt(), READY)
    wanted.state = wanted.succeeded(attempt(), (1,))
    assert (wanted.busy, wanted.untried, wanted.is_behind) == (False, True, True)


def test_failures_are_tried_again_later_and_later_until_the_model_changes() -> None:
    wanted, delays = Wanted("f"), []
    for _ in range(8):
        wanted.state = wanted.failed(attempt("it is broken"), "it is broken", ())
        delays.append(round(wanted.due - time.monotonic()))
    assert (wanted.state.tries, delays) == (8, [1, 2, 4, 8, 16, 32, 60, 60])
    wanted.want("g")
    assert (wanted.due, wanted.state.tries) == (0.0, 0)


def test_a_new_version_that_fails_leaves_the_old_one_and_what_it_was_loaded_with() -> None:
    wanted = loaded()
    wanted.want("g")
    state = wanted.failed(attempt("it is broken", "g"), "it is broken", (1,))
    assert (state.state, state.versions, state.fingerprint) == (ModelState.FAILED, (1,), "f")


def test_going_back_to_what_is_served_still_ends_a_failure() -> None:
    wanted = loaded()
    wanted.want("g")
    wanted.state = wanted.failed(attempt("it is broken", "g"), "it is broken", (1,))
    wanted.want("f")
    assert not wanted.is_behind
    state = wanted.rest()
    assert state is not None
    assert (state.state, state.reason, wanted.untried) == (ModelState.READY, "", False)


def test_a_model_that_somebody_unloaded_is_held_until_somebody_loads_it() -> None:
    wanted = loaded()
    state = wanted.compare(UNLOADED)
    assert state is not None
    wanted.state = state
    assert (state.state, wanted.is_behind) == (ModelState.UNLOADED, False)
    state = wanted.compare(READY)
    assert state is not None
    assert (state.state, state.fingerprint, state.seconds) == (ModelState.READY, "f", None)


def test_a_model_that_a_new_triton_does_not_know_is_loaded_again() -> None:
    wanted = loaded()
    state = wanted.compare([IndexRow("a")])
    assert state is not None
    wanted.state = state
    assert (state.state, wanted.is_behind) == (ModelState.WAITING, True)


def test_a_model_that_was_held_is_loaded_by_a_new_triton() -> None:
    wanted = loaded()
    wanted.state = wanted.compare(UNLOADED) or wanted.state
    assert wanted.compare([IndexRow("a")]) is None
    assert wanted.is_behind


def test_nothing_is_concluded_while_a_version_comes_or_goes() -> None:
    assert loaded().compare([IndexRow("a", "1", "UNLOADING")]) is None


def test_a_model_that_is_brought_back_says_so_until_it_is_back() -> None:
    wanted = loaded()
    wanted.state = wanted.broke("its process died")
    assert (wanted.state.state, wanted.busy, wanted.is_idle, wanted.begin()) == (ModelState.HEALING, True, False, None)
    wanted.came_back(attempt(), READY)
    assert wanted.succeeded(attempt(), (1,)).state is ModelState.READY
    assert wanted.healing is None

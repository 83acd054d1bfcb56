from gateway.repository.site import ModelState, SiteModel
from gateway.triton.board import Board
from gateway.triton.status import Event, EventKind, State


def test_a_start_as_the_board_tells_it() -> None:
    events: list[Event] = []
    board = Board("triton.log", events.append)
    board.launched(7)
    board.live(0.1)
    board.model("add", SiteModel(ModelState.LOADING))
    assert (board.status().state, board.settled.is_set()) == (State.STARTING, False)
    board.model("add", SiteModel(ModelState.READY, seconds=1.0))
    board.model("bad", SiteModel(ModelState.FAILED, "it is broken", 0.5))
    board.ready()
    status = board.status()
    assert (status.state, status.pid, board.settled.is_set()) == (State.READY, 7, True)
    assert {name: model.state for name, model in status.models.items()} == {
        "add": ModelState.READY,
        "bad": ModelState.FAILED,
    }
    assert events == [
        Event(EventKind.LAUNCHED, message="pid 7"),
        Event(EventKind.LIVE, seconds=0.1),
        Event(EventKind.MODEL_LOADING, "add"),
        Event(EventKind.MODEL_READY, "add", seconds=1.0),
        Event(EventKind.MODEL_FAILED, "bad", "it is broken", 0.5),
        Event(EventKind.READY),
    ]


def test_a_death_makes_every_model_wait_and_is_counted_when_the_next_try_is_due() -> None:
    events: list[Event] = []
    board = Board("triton.log", events.append)
    board.launched(7)
    board.model("add", SiteModel(ModelState.READY, seconds=1.0))
    board.ready()
    board.died("SIGKILL", ["add"])
    board.restarting(2.0)
    status = board.status()
    assert (status.state, status.pid, status.restarts) == (State.RESTARTING, None, 1)
    assert status.models["add"].state is ModelState.WAITING
    assert not board.settled.is_set()
    assert events[-2:] == [Event(EventKind.DIED, message="SIGKILL"), Event(EventKind.RESTARTING, seconds=2.0)]


def test_healing_is_counted_when_it_has_succeeded() -> None:
    board = Board("triton.log", lambda _: None)
    board.model("add", SiteModel(ModelState.HEALING, "its process died", 0.0))
    assert (board.status().heals, board.status().models["add"].state) == (0, ModelState.HEALING)
    board.model("add", SiteModel(ModelState.READY, seconds=1.2))
    assert (board.status().heals, board.status().models["add"].state) == (1, ModelState.READY)


def test_a_server_that_never_came_up_stays_failed_and_ends_every_wait() -> None:
    board = Board("triton.log", lambda _: None)
    board.failed("a port is in use")
    board.stopped()
    assert board.status().state is State.FAILED
    assert board.failure == "a port is in use"
    assert board.settled.is_set()


def test_a_model_that_others_unload_and_load_is_told() -> None:
    events: list[Event] = []
    board = Board("triton.log", events.append)
    board.model("add", SiteModel(ModelState.UNLOADED))
    assert board.status().models["add"].state is ModelState.UNLOADED
    board.model("add", SiteModel(ModelState.READY))
    assert (board.status().models["add"].state, board.status().heals) == (ModelState.READY, 0)
    assert events == [Event(EventKind.MODEL_UNLOADED, "add"), Event(EventKind.MODEL_READY, "add")]


def test_a_picture_does_not_change_afterwards() -> None:
    board = Board("triton.log", lambda _: None)
    board.model("add", SiteModel(ModelState.READY, seconds=1.0))
    before = board.status()
    board.model("add", None)
    assert list(before.models) == ["add"]
    assert board.status().models == {}


def test_a_failure_that_lasts_is_told_once_and_another_cause_again() -> None:
    events: list[Event] = []
    board = Board("triton.log", events.append)
    for reason in ("no weights", "no weights", "no memory"):
        board.model("bad", SiteModel(ModelState.LOADING))
        board.model("bad", SiteModel(ModelState.FAILED, reason))
    assert [event.message for event in events if event.kind is EventKind.MODEL_FAILED] == ["no weights", "no memory"]


def test_a_model_that_may_not_be_shown_serves_on_what_it_served() -> None:
    board = Board("triton.log", lambda _: None)
    board.model("add", SiteModel(ModelState.READY, fingerprint="f", versions=(1,)))
    board.refused("add", "its name is unsafe")
    assert board.states()["add"] == SiteModel(ModelState.FAILED, "its name is unsafe", fingerprint="f", versions=(1,))

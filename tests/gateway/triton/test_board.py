from gateway.triton.board import Board
from gateway.triton.status import Event, EventKind, ModelState, State


def test_a_start_as_the_board_tells_it() -> None:
    events: list[Event] = []
    board = Board("triton.log", events.append)
    board.launched(7)
    board.live(0.1)
    board.loading("add")
    assert (board.status().state, board.settled.is_set()) == (State.STARTING, False)
    board.loaded("add", 1.0)
    board.model_failed("bad", "it is broken", 0.5)
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
    board.loaded("add", 1.0)
    board.ready()
    board.died("SIGKILL", ["add"])
    board.restarting(2.0)
    status = board.status()
    assert (status.state, status.pid, status.restarts) == (State.RESTARTING, None, 1)
    assert status.models["add"].state is ModelState.LOADING
    assert not board.settled.is_set()
    assert events[-2:] == [Event(EventKind.DIED, message="SIGKILL"), Event(EventKind.RESTARTING, seconds=2.0)]


def test_healing_is_counted_when_it_has_succeeded() -> None:
    board = Board("triton.log", lambda _: None)
    board.healing("add", "its process died", 0.0)
    assert (board.status().heals, board.status().models["add"].state) == (0, ModelState.HEALING)
    board.healed("add", 1.2)
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
    board.unloaded("add")
    assert board.status().models["add"].state is ModelState.UNLOADED
    board.loaded("add")
    assert (board.status().models["add"].state, board.status().heals) == (ModelState.READY, 0)
    assert events == [Event(EventKind.MODEL_UNLOADED, "add"), Event(EventKind.MODEL_READY, "add")]


def test_a_picture_does_not_change_afterwards() -> None:
    board = Board("triton.log", lambda _: None)
    board.loaded("add", 1.0)
    before = board.status()
    board.forget("add")
    assert list(before.models) == ["add"]
    assert board.status().models == {}

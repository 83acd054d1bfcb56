import json
import os
import threading
from pathlib import Path

import pytest

from gateway.core.errors import SetupError
from gateway.repository.record import digest
from gateway.repository.workplace import FOLDER, Consumption, Workplace


def workplace(repository: Path, *, published: bool = False, lock_seconds: float = 10.0) -> Workplace:
    return Workplace(repository, is_published=lambda *_: published, lock_seconds=lock_seconds)


def leave_behind(repository: Path, consumption: Consumption) -> Path:
    """A staged folder of a process that is no more."""
    folder = repository / FOLDER / "staging" / "dead"
    folder.mkdir(parents=True)
    folder.with_name("dead.lock").touch()
    consumption.plan(folder)
    return folder


@pytest.mark.parametrize("published", [True, False])
def test_a_drop_is_removed_only_if_it_was_published_before_its_process_ended(tmp_path: Path, published: bool) -> None:
    drop = tmp_path / "m.onnx"
    drop.write_text("x")
    left = leave_behind(tmp_path, Consumption("m", 1, "sha", {str(drop): digest([drop])}))
    with workplace(tmp_path, published=published).locked("x") as done:
        assert drop.exists() is not published
        assert ("removed what version 1 of m was published from" in done) is published
        assert done[-1] == "removed dead, which an interrupted change had left"
    assert list(left.parent.iterdir()) == []


def test_a_drop_that_was_replaced_since_stays(tmp_path: Path) -> None:
    drop = tmp_path / "m.onnx"
    drop.write_text("x")
    leave_behind(tmp_path, Consumption("m", 1, "sha", {str(drop): digest([drop]), str(tmp_path / "gone"): "0"}))
    drop.write_text("the next one")
    with workplace(tmp_path, published=True).locked("x"):
        assert drop.read_text() == "the next one"


def test_a_lock_without_its_folder_is_cleared_away(tmp_path: Path) -> None:
    staging = tmp_path / FOLDER / "staging"
    staging.mkdir(parents=True)
    (staging / "dead.lock").touch()
    with workplace(tmp_path).locked("x") as done:
        assert done == []
    assert list(staging.iterdir()) == []


def test_the_next_one_waits_for_the_lock(tmp_path: Path) -> None:
    order, waiting = [], threading.Event()

    def other() -> None:
        waiting.set()
        with workplace(tmp_path).locked("second"):
            order.append("second")

    thread = threading.Thread(target=other)
    with workplace(tmp_path).locked("first"):
        thread.start()
        assert waiting.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_who_holds_the_lock_too_long_is_named(tmp_path: Path) -> None:
    holder = rf"process {os.getpid()}, publishing big\)"
    with (
        workplace(tmp_path).locked("publishing big"),
        pytest.raises(SetupError, match=holder),
        workplace(tmp_path, lock_seconds=0).locked("x"),
    ):
        raise AssertionError("must not be entered")


def test_a_plan_can_be_read_by_the_next_process(tmp_path: Path) -> None:
    plan = Consumption("m", 2, "sha", {"/drop": "0"})
    plan.plan(tmp_path)
    assert Consumption(**json.loads((tmp_path / "consumption.json").read_bytes())) == plan

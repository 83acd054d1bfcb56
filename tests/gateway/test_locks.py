import io
import threading
from pathlib import Path

import pytest
from rich.console import Console

from gateway.core.errors import SetupError
from gateway.locks import exclusive


def test_one_works_and_the_other_waits_and_says_so(tmp_path: Path) -> None:
    told = io.StringIO()
    entered, order = threading.Event(), list[str]()

    def other() -> None:
        with exclusive(tmp_path / "lock", Console(file=told), doing="fetching Triton", timeout=10):
            order.append("other")
            entered.set()

    thread = threading.Thread(target=other)
    with exclusive(tmp_path / "lock", Console(file=io.StringIO()), doing="fetching Triton", timeout=10):
        thread.start()
        while "waiting" not in told.getvalue():
            assert not entered.wait(0.01)
        order.append("first")
    assert entered.wait(10)
    thread.join()
    assert order == ["first", "other"]
    assert told.getvalue() == "Another process is fetching Triton; waiting for it\n"


def test_a_lock_that_is_never_let_go_is_an_error_that_names_it(tmp_path: Path) -> None:
    console = Console(file=io.StringIO())
    with (
        exclusive(tmp_path / "lock", console, doing="x", timeout=1),
        pytest.raises(SetupError, match=r"has held .*lock too long; end it and try again"),
        exclusive(tmp_path / "lock", console, doing="x", timeout=0),
    ):
        raise AssertionError("must not be entered")

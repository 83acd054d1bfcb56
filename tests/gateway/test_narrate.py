import io

import pytest
from rich.console import Console

from gateway.narrate import Narrator, reach
from gateway.triton.status import Event, EventKind


@pytest.fixture
def told() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def narrator(told: io.StringIO) -> Narrator:
    return Narrator(Console(file=told, width=200))


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (Event(EventKind.MODEL_READY, "magika", seconds=0.84), "  ✓ magika is ready (0.8 s)"),
        (Event(EventKind.MODEL_FAILED, "m", "corrupt [file]"), "  ✗ m failed: corrupt [file]"),
        (Event(EventKind.MODEL_HEALED, "m", seconds=1.4), "  ✓ m is back (1.4 s)"),
        (Event(EventKind.RESTARTING, seconds=2), "  ! Triton is started again in 2.0 s"),
    ],
)
def test_what_matters_gets_a_line(narrator: Narrator, told: io.StringIO, event: Event, line: str) -> None:
    narrator.tell(event)
    assert told.getvalue().rstrip("\n") == line


def test_what_does_not_matter_gets_none(narrator: Narrator, told: io.StringIO) -> None:
    narrator.tell(Event(EventKind.LAUNCHED))
    assert told.getvalue() == ""


def test_the_addresses_are_shown_as_a_person_would_type_them(narrator: Narrator, told: io.StringIO) -> None:
    narrator.ready({"http": "0.0.0.0:8080", "grpc": "10.1.2.3:8081", "control": "127.0.0.1:8082"}, 12.34)
    assert told.getvalue().splitlines() == [
        "Ready after 12.3 s.",
        "  HTTP     http://localhost:8080",
        "  gRPC     10.1.2.3:8081",
        "  control  http://localhost:8082",
    ]


def test_without_a_terminal_work_is_one_line(narrator: Narrator, told: io.StringIO) -> None:
    with narrator.working("Loading"):
        pass
    assert told.getvalue() == "Loading ...\n"


@pytest.mark.parametrize(
    ("listening", "reached"),
    [
        ("0.0.0.0:80", "localhost:80"),
        (":::80", "localhost:80"),
        ("::1:80", "localhost:80"),
        ("10.0.0.5:80", "10.0.0.5:80"),
        ("fd00::5:80", "[fd00::5]:80"),
        ("gateway.local:80", "gateway.local:80"),
    ],
)
def test_an_address_is_reached_where_it_listens(listening: str, reached: str) -> None:
    assert reach(listening) == reached

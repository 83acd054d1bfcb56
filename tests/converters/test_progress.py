import io

from rich.console import Console

from converters.build.events import Event
from converters.progress import Display

EVENTS = (
    Event("pitch", "works", "int8", "calibrating", 1, 4),
    Event("pitch", "done", "int8", detail="0.3 MB [odd]"),
    Event("pitch", "cached", "gate int8", detail="cosine 1.0"),
    Event("pitch", "failed", "engine rtx", detail="node Conv_1: it is unknown; leave it out"),
    Event("pitch", "done", "", detail="2 results"),
)


def shown(*, terminal: bool) -> str:
    file = io.StringIO()
    display = Display(Console(file=file, force_terminal=terminal, width=80, color_system=None))
    with display.shown():
        for event in EVENTS:
            display.tell(event)
    return file.getvalue()


def test_without_a_terminal_each_step_is_a_line() -> None:
    assert shown(terminal=False).splitlines() == [
        "✓ pitch int8  0.3 MB [odd]",
        "= pitch gate int8  cosine 1.0",
        "✗ pitch engine rtx: node Conv_1: it is unknown; leave it out",
        "✓ pitch  2 results",
    ]


def test_a_terminal_shows_what_is_going_on() -> None:
    assert "pitch int8 calibrating" in shown(terminal=True)


def test_a_long_step_without_a_terminal_is_told_now_and_then() -> None:
    file = io.StringIO()
    display = Display(Console(file=file, width=80, color_system=None), report_seconds=0.0)
    display.tell(Event("pitch", "works", "int8", "calibrating", 1, 4))
    display.tell(Event("pitch", "works", "int8", "calibrating", 2, 4))
    assert file.getvalue().splitlines() == ["  pitch int8 calibrating 25 %", "  pitch int8 calibrating 50 %"]

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
    assert "pitch int8: calibrating" in shown(terminal=True)


class Reminded:
    """A display without a terminal, and the clock that it goes by."""

    def __init__(self) -> None:
        self.now = 0.0
        self._file = io.StringIO()
        self.display = Display(Console(file=self._file, width=80, color_system=None), clock=lambda: self.now)

    def at(self, now: float) -> list[str]:
        """What is reminded of at a time."""
        self.now = now
        self._file.seek(0)
        self._file.truncate()
        self.display.remind()
        return self._file.getvalue().splitlines()


def test_a_long_step_without_a_terminal_is_told_now_and_then_and_ever_less_often() -> None:
    reminded = Reminded()
    reminded.display.tell(Event("pitch", "works", "int8", "calibrating", 1, 4))
    lines = {now: reminded.at(now) for now in range(70)}
    assert [now for now, told in lines.items() if told] == [2, 6, 14, 30, 62]
    assert lines[2] == ["  pitch int8: calibrating 25 %, 2 s"]


def test_each_step_is_waited_for_anew_and_what_is_done_is_not_told_of() -> None:
    reminded = Reminded()
    reminded.display.tell(Event("pitch", "works", "to ONNX"))
    reminded.now = 1.5
    reminded.display.tell(Event("pitch", "works", "int8"))
    assert reminded.at(3.0) == []
    assert reminded.at(3.5) == ["  pitch int8, 2 s"]
    reminded.display.tell(Event("pitch", "done", "int8"))
    assert reminded.at(60.0) == []

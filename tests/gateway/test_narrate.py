import io

import pytest
from rich.console import Console

from gateway.narrate import Narrator, reach
from gateway.repository.progress import News, NewsKind
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
        (Event(EventKind.MODEL_READY, "magika"), "  ✓ magika is ready"),
        (Event(EventKind.MODEL_UNLOADED, "m"), "  ! m was unloaded on request"),
        (Event(EventKind.MODEL_FAILED, "m", "corrupt [file]"), "  ✗ m failed: corrupt [file]"),
        (Event(EventKind.MODEL_HEALED, "m", seconds=1.4), "  ✓ m is back (1.4 s)"),
        (Event(EventKind.RESTARTING, seconds=2), "  ! Triton is started again in 2.0 s"),
    ],
)
def test_what_matters_gets_a_line(narrator: Narrator, told: io.StringIO, event: Event, line: str) -> None:
    narrator.tell(event)
    assert told.getvalue().rstrip("\n") == line


@pytest.mark.parametrize(
    ("news", "line"),
    [
        (News(NewsKind.DROPPED, "fraud", "fraud.onnx"), "  fraud: looking at fraud.onnx ..."),
        (News(NewsKind.PUBLISHED, "fraud", "3", 1.24), "  ✓ fraud version 3 is published (1.2 s)"),
        (News(NewsKind.REFUSED, "fraud", "a [pickle]"), "  ✗ fraud is refused: a [pickle]"),
        (News(NewsKind.CHANGED, "m", "1/a: was changed"), "  ! m was changed by hand: 1/a: was changed"),
        (News(NewsKind.REMOVED, "m"), "  ! m was removed from the repository"),
        (News(NewsKind.TROUBLE, message="the disk is full"), "  ! the disk is full"),
    ],
)
def test_what_happens_in_the_repository_gets_a_line(
    narrator: Narrator, told: io.StringIO, news: News, line: str
) -> None:
    narrator.news(news)
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


@pytest.mark.parametrize(
    ("applied", "waiting", "line"),
    [
        (("admin.trace", "upstreams"), (), "✓ The configuration was read again: admin.trace, upstreams changed"),
        ((), ("workers",), "The configuration was read again: nothing changed; workers only at the next start"),
        ((), (), "The configuration was read again: nothing changed"),
    ],
)
def test_a_changed_configuration_is_told_with_what_became_of_it(
    narrator: Narrator, told: io.StringIO, applied: tuple[str, ...], waiting: tuple[str, ...], line: str
) -> None:
    narrator.reloaded(applied, waiting)
    assert told.getvalue() == f"{line}\n"


def test_a_refused_configuration_is_told_with_the_reason(narrator: Narrator, told: io.StringIO) -> None:
    narrator.refused("g.yaml:1: unknown key 'x'; known here: [http]")
    assert told.getvalue() == (
        "✗ The changed configuration is refused, the old one stays: g.yaml:1: unknown key 'x'; known here: [http]\n"
    )


def test_each_external_triton_is_told_whether_it_is_ready(narrator: Narrator, told: io.StringIO) -> None:
    narrator.upstreams({"a": True, "b:8000": False})
    assert told.getvalue().splitlines() == ["  ✓ a is ready", "  ! b:8000 is not ready yet"]


def test_without_any_external_triton_a_person_hears_what_that_means(narrator: Narrator, told: io.StringIO) -> None:
    narrator.upstreams({"a": False})
    assert "No external Triton is ready yet: inference gets 503 until one is." in told.getvalue()


def test_a_process_that_died_is_told_with_its_status(narrator: Narrator, told: io.StringIO) -> None:
    narrator.died("data-1", -9, 0.5)
    assert told.getvalue() == "The data-1 process died (status -9); it is started again in 0.5 s\n"


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

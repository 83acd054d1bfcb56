import asyncio
import json
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.control.api import StatusBoard, create_api
from gateway.control.comparisons import Comparisons
from gateway.frontends.server import HttpServer
from gateway.tap.report.model import Report, make_place, place_of
from tests.gateway.commands.rig import Command, free_port
from tests.gateway.tap.report.reports import empty, full


class Cli:
    """The command line, over a control API that has these reports."""

    def __init__(self, port: int) -> None:
        self._port = port

    def run(self, *words: object) -> Command:
        settings = ("--set", f"control.port={self._port}")
        result = CliRunner().invoke(main, ["compare", *map(str, words), *settings], catch_exceptions=False)
        assert "Traceback" not in result.output
        return Command(result)


@contextmanager
def serving(folder: Path) -> Iterator[Cli]:
    """A control API in a thread of its own."""
    port, started, ended = free_port(), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        api = create_api(StatusBoard(), Comparisons(folder))
        async with HttpServer(api, "127.0.0.1", port, "control.port", 1):
            started.set()
            await ended.wait()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(20)
    try:
        yield Cli(port)
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(20)


def put(folder: Path, report: Report) -> None:
    place = place_of(folder, report.route, report.mirror)
    make_place(place)
    (place / "report.json").write_bytes(report.encoded())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "110")
    return tmp_path / "reports"


@pytest.fixture
def cli(folder: Path) -> Iterator[Cli]:
    put(folder, full())
    with serving(folder) as cli:
        yield cli


def test_pairs_are_listed(cli: Cli) -> None:
    told = cli.run("list")
    assert told.code == 0
    for word in ("ocr", "ocr-2", "agreement", "2026-09-21"):
        assert word in told.out
    assert cli.run("list", "--json").data["comparisons"][0]["mirror"] == "ocr-2"


def test_before_anything_was_compared_there_is_a_hint(folder: Path) -> None:
    with serving(folder) as cli:
        assert cli.run("list").out == (
            "Nothing is compared yet: give a mirror of a route the section `compare`, or a route a canary.\n"
        )
        told = cli.run("show", "ocr")
        assert told.code == 1
        assert "no answers of route 'ocr' were compared; give a mirror of a route" in told.err


def test_a_report_is_shown(cli: Cli) -> None:
    told = cli.run("show", "ocr")
    assert told.code == 0
    for word in (
        "answers agree",
        "ocr-2 version 2 against ocr",
        "scores",
        "baseline",
        "p99",
        "1: the candidate failed: HTTP 503 busy scores",
    ):
        assert word in told.out
    assert cli.run("show", "ocr", "ocr-2").out == told.out


@pytest.mark.parametrize("columns", [80, 200])
def test_nothing_is_cut_on_a_terminal(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    long = full()
    long.route, long.mirror, long.counts.agreed = "document-classifier", "classifier-of-today~of-tomorrow", 12_345_678
    put(folder, long)
    monkeypatch.setenv("COLUMNS", str(columns))
    told = cli.run("list").out
    assert "2026-09-21 14:46:30" in told
    assert "of 12\u202f345\u202f6" in told
    for shown in (told, cli.run("show", "document-classifier").out):
        assert "…" not in shown
        assert max(map(len, shown.splitlines())) <= columns


def test_what_could_not_be_compared_is_told(cli: Cli, folder: Path) -> None:
    odd = full()
    odd.mirror, odd.counts.unreadable = "[bold]", 7
    put(folder, odd)
    assert "ocr [bold]: 7 answers could not be compared" in cli.run("list").out


def test_every_form_is_printed(cli: Cli) -> None:
    assert Report.of(cli.run("show", "ocr", "--json").data).as_dict() == full().as_dict()
    assert cli.run("show", "ocr", "--markdown").out.startswith("# ocr: ocr-2 version 2 against ocr\n")
    assert cli.run("show", "ocr", "--html").out.startswith("<!DOCTYPE html>\n")


@pytest.mark.parametrize(
    ("name", "options", "begins"),
    [
        ("a.html", (), "<!DOCTYPE html>"),
        ("a.md", (), "# ocr: "),
        ("a.json", (), "{\n"),
        ("a", (), "# ocr: "),
        ("a.txt", ("--html",), "<!DOCTYPE html>"),
        ("a.txt", ("--json",), "{\n"),
    ],
)
def test_a_file_is_written(cli: Cli, tmp_path: Path, name: str, options: tuple[str, ...], begins: str) -> None:
    told = cli.run("show", "ocr", *options, "--output", name)
    assert (told.code, told.out) == (0, "")
    assert (tmp_path / name).read_text().startswith(begins)
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_a_route_with_several_asks_which(cli: Cli, folder: Path) -> None:
    other = empty()
    other.mirror = "a b/c"
    put(folder, other)
    told = cli.run("show", "ocr")
    assert (told.code, told.out) == (1, "")
    assert "route 'ocr' is compared with several: say which of a b/c, ocr-2" in told.err
    assert "Nothing compared yet" in cli.run("show", "ocr", "a b/c").out


def test_mistakes_are_one_line(cli: Cli) -> None:
    for words, said in (
        (("show", "occr"), "no answers of route 'occr' were compared; there are reports of: ocr"),
        (("show", "ocr", "ocr-3"), "did you mean ocr/ocr-2?"),
        (("show", "ocr", "--json", "--html"), "--json and --html exclude each other"),
        (("show", "ocr", "--output", "none/a.md"), "none/a.md cannot be written: No such file or directory"),
    ):
        told = cli.run(*words)
        assert told.code == 1
        assert said in told.err + told.out


def test_a_refusal_is_json_where_that_was_asked_for(cli: Cli) -> None:
    told = cli.run("show", "none", "--json")
    assert told.code == 1
    assert json.loads(told.out)["state"] == "refused"

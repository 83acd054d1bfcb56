from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.upstreams.fake_triton import FakeTriton
from tests.gateway.replay.model import Doubles, log_of, recorded


@contextmanager
def serving(model: Doubles) -> Iterator[FakeTriton]:
    """A Triton in a thread of its own, since the command has an event loop of its own too."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    triton = FakeTriton(model)
    try:
        asyncio.run_coroutine_threadsafe(triton.listen(), loop).result(10)
        yield triton
    finally:
        asyncio.run_coroutine_threadsafe(triton.__aexit__(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def triton() -> Iterator[FakeTriton]:
    with serving(Doubles(until=8)) as triton:
        yield triton


@pytest.fixture
def log(tmp_path: Path) -> str:
    requests = [recorded(float(number)) for number in range(10)]
    return asyncio.run(log_of(tmp_path / "log", *requests))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["replay", *arguments])


def test_it_shows_how_far_answers_agree_and_judges_only_if_it_is_told_to(log: str, triton: FakeTriton) -> None:
    shown = run(log, "--to", f"http://{triton.http}")
    assert shown.exit_code == 0
    assert "80 % of 10 answers agree" in shown.output
    assert run(log, "--to", f"grpc://{triton.grpc}", "--least-agreement", "80").exit_code == 0
    assert run(log, "--to", f"grpc://{triton.grpc}", "--least-agreement", "81").exit_code == 2


def test_for_programs(log: str, triton: FakeTriton) -> None:
    shown = run(log, "--to", f"http://{triton.http}", "--json", "--limit", "9")
    told = json.loads(shown.stdout)
    assert (told["sent"], told["agreed"], told["differed"]) == (9, 8, 1)


def test_a_report_is_written(log: str, triton: FakeTriton, tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    assert run(log, "--to", f"http://{triton.http}", "--report", str(path)).exit_code == 0
    assert path.read_text().startswith("# Replay of ")
    refused = run(log, "--to", f"http://{triton.http}", "--report", "report.doc")
    assert refused.exit_code == 1
    assert "a report is a .md" in refused.output


def test_options_say_when_answers_agree(log: str, triton: FakeTriton, tmp_path: Path) -> None:
    to = ("--to", f"http://{triton.http}", "--json")
    assert json.loads(run(log, *to, "--absolute", "100").stdout)["agreed"] == 10
    assert json.loads(run(log, *to, "--by", "cosine").stdout)["agreed"] == 10
    assert json.loads(run(log, *to, "--ignore", "y").stdout)["agreed"] == 10
    function = tmp_path / "mine.py"
    function.write_text("def near(expected, got):\n    return 0.5\n")
    assert json.loads(run(log, *to, "--function", f"{function}:near").stdout)["agreed"] == 0
    assert json.loads(run(log, *to, "--function", f"{function}:near", "--least", "50").stdout)["agreed"] == 10


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--by", "function"), "go together"),
        (("--by", "top1", "--function", "a.py:b"), "go together"),
        (("--function", "none.py:b"), "none.py"),
        (("--limit", "0"), "--limit"),
        (("--to", "nowhere"), "names no server"),
        (("--model", "nope"), "does not serve the model nope"),
        (("--only", "nope"), "no recorded requests for nope, only for echo"),
        (("--against", "http://127.0.0.1:9"), "http://127.0.0.1:9 cannot be reached"),
    ],
)
def test_misuse_is_one_line_and_exit_code_1(
    log: str, triton: FakeTriton, arguments: tuple[str, ...], told: str
) -> None:
    refused = run(log, "--to", f"http://{triton.http}", *arguments)
    assert refused.exit_code == 1
    assert told in refused.output
    assert "Traceback" not in refused.output


def test_no_such_log(tmp_path: Path, triton: FakeTriton) -> None:
    refused = run(str(tmp_path / "none"), "--to", f"http://{triton.http}")
    assert (refused.exit_code, "there is no log" in refused.output) == (1, True)
    assert run("ftp://host/log", "--to", f"http://{triton.http}").exit_code == 1


def test_one_model_cannot_be_asked_what_others_were(tmp_path: Path, triton: FakeTriton) -> None:
    log = asyncio.run(log_of(tmp_path / "log", recorded(1.0), recorded(2.0, model="other")))
    to = ("--to", f"http://{triton.http}")
    assert "requests for echo, other; choose one of them by --only" in run(log, *to, "--model", "echo").output
    assert run(log, *to, "--model", "echo", "--only", "other").exit_code == 0
    assert run(log, *to).exit_code == 0


def test_a_server_that_fails_everything(log: str) -> None:
    with serving(Doubles(fails=tuple(map(float, range(10))))) as triton:
        refused = run(log, "--to", f"http://{triton.http}")
        assert (refused.exit_code, "failed every request: HTTP 400 no such thing" in refused.output) == (1, True)
        assert run(log, "--to", f"http://{triton.http}", "--least-agreement", "99").exit_code == 2


def test_the_recorded_answers_are_missing(tmp_path: Path, triton: FakeTriton) -> None:
    log = asyncio.run(log_of(tmp_path / "log", recorded(1.0, outputs=None)))
    shown = run(log, "--to", f"http://{triton.http}", "--least-agreement", "1")
    assert shown.exit_code == 2
    assert "Nothing compared" in shown.output
    against = run(
        log, "--to", f"http://{triton.http}", "--against", f"grpc://{triton.grpc}", "--against-model", "other"
    )
    assert (against.exit_code, "100 % of 1 answers agree" in against.output) == (0, True)

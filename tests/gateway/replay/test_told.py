import json
import stat
from pathlib import Path

import pytest
from rich.console import Console

from gateway.core.errors import SetupError
from gateway.replay import told
from gateway.replay.results import Results
from tests.gateway.replay.test_results import add, results


def some() -> Results:
    counted = results()
    add(counted)
    add(counted, 2.0, 2)
    add(counted, 3.0, failure="no [bold] such thing")
    add(counted, redacted=("in/x",))
    add(counted, redacted=("parameters",))
    return counted


def test_the_terminal_shows_all_there_is_to_know_in_80_columns() -> None:
    console = Console(width=80)
    with console.capture() as capture:
        console.print(told.summary(some()))
    shown = capture.get()
    for words in (
        "50 % of 4 answers agree", "5 requests sent, 1 failed", "1 of them: no [bold] such thing", "Worst cases",
        "1 request sent with zeros", "1 request not compared", "1 request sent without", "baseline", "p99", "candidate",
    ):  # fmt: skip
        assert words in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert "…" not in shown
    assert "request " not in shown.partition("Worst cases")[2]  # none has an id


def test_nothing_is_said_of_what_was_not() -> None:
    counted = results()
    add(counted)
    assert told.notes(counted) == {}
    console = Console(width=80)
    with console.capture() as capture:
        console.print(told.summary(counted))
    assert "Worst" not in capture.get()


@pytest.mark.parametrize("suffix", [".md", ".html"])
def test_reports_for_people_say_what_was_redacted(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"report{suffix}"
    told.check_file(path)
    counted = some()
    told.write(counted, path)
    assert "their input was redacted" in path.read_text()
    assert "no [bold] such thing" not in counted.report.problems


def test_a_report_for_programs(tmp_path: Path) -> None:
    told.write(some(), tmp_path / "report.json")
    assert stat.S_IMODE((tmp_path / "report.json").stat().st_mode) == 0o600
    said = json.loads((tmp_path / "report.json").read_text())
    assert (said["replay"]["redacted"], said["report"]["counts"]["differed"]) == (1, 2)


def test_files_that_no_report_can_be(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"report.pdf: a report is a .md, a .json or a .html file"):
        told.check_file(tmp_path / "report.pdf")
    with pytest.raises(SetupError, match="there is no folder"):
        told.check_file(tmp_path / "none" / "report.md")
    (tmp_path / "report.md").mkdir()
    with pytest.raises(SetupError, match="cannot be written: Is a directory"):
        told.write(some(), tmp_path / "report.md")

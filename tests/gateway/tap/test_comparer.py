import asyncio
import json
import logging
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.tap import comparer as module
from gateway.tap.comparer import Comparer, pairs_of
from gateway.tap.exchange import Exchange
from gateway.tap.report.model import Report, Side
from gateway.tap.sections import RedactSection
from gateway.traffic.sections import TrafficSection
from tests.gateway.tap.bodies import answer, exchange, floats, pair

HIDDEN = RedactSection()


def section(**compare: Any) -> TrafficSection:
    mirror = {"model": "ocr-2", "compare": {"absolute": 0.1, "relative": 0, **compare}}
    return TrafficSection.model_validate({"routes": [{"model": "ocr", "mirrors": [mirror, {"model": "counted"}]}]})


def near(**changed: Any) -> Exchange:
    return pair({"y": floats(1, 2)}, {"y": floats(1, 2)}, **changed)


def far(**changed: Any) -> Exchange:
    return pair({"y": floats(1, 2)}, {"y": floats(1, 3)}, **changed)


def report(folder: Path) -> Report:
    return Report.decoded((folder / "ocr" / "ocr-2" / "report.json").read_bytes())


@pytest.fixture
async def comparer(tmp_path: Path) -> AsyncIterator[Comparer]:
    made = Comparer(section(), tmp_path, HIDDEN)
    yield made
    await made.aclose()


def test_mirrors_and_canaries_are_compared() -> None:
    told = TrafficSection.model_validate(
        {
            "routes": [
                {
                    "name": "r",
                    "model": "ocr",
                    "targets": [{"model": "ocr", "version": 1}, {"name": "new", "model": "ocr", "version": 2}],
                    "canary": {"candidate": "new", "compare": {"by": "top1"}},
                    "mirrors": [{"model": "a", "compare": {}}, {"model": "b"}],
                }
            ]
        }
    )
    assert {name: compare.by for name, compare in pairs_of(told).items()} == {
        ("r", "a"): "max_error",
        ("r", "ocr-1~new"): "top1",
    }


async def test_exchanges_are_compared_counted_and_reported(comparer: Comparer, tmp_path: Path) -> None:
    for given in (near(epoch="1"), far(epoch="1"), near(), exchange(answer({}))):
        await comparer.take(given)
    assert comparer.status() == {
        "comparisons": {
            "ocr": {
                "ocr-2": {
                    "agreed": 2,
                    "differed": 1,
                    "unreadable": 1,
                    "window": {"epoch": "1", "agreed": 1, "differed": 1},
                }
            }
        }
    }
    await comparer.aclose()
    told = report(tmp_path)
    assert (told.counts.agreed, told.counts.differed, told.kept) == (2, 1, 1)
    assert told.settings["absolute"] == 0.1
    folder = tmp_path / "ocr" / "ocr-2"
    assert stat.S_IMODE((folder / "report.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(path.name for path in folder.iterdir()) == ["differing", "report.json"]


async def test_the_report_is_written_while_exchanges_come(
    comparer: Comparer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_WRITE_SECONDS", 0.0)
    for number in (1, 2):
        await comparer.take(near())
        async with asyncio.timeout(10):
            while not ((tmp_path / "ocr").exists() and report(tmp_path).counts.agreed == number):
                await asyncio.sleep(0.005)


async def test_pairs_that_nobody_compares_are_dropped(comparer: Comparer, tmp_path: Path) -> None:
    await comparer.take(near(route="other"))
    await comparer.take(near(mirror="counted"))
    await comparer.aclose()
    assert not (tmp_path / "other").exists()
    assert not (tmp_path / "ocr").exists()


async def test_large_answers_are_compared_as_well(comparer: Comparer) -> None:
    many = [float(number) for number in range(100_000)]
    await comparer.take(pair({"y": floats(*many)}, {"y": floats(*many)}))
    assert comparer.status()["comparisons"]["ocr"]["ocr-2"]["agreed"] == 1


async def test_a_restart_goes_on(comparer: Comparer, tmp_path: Path) -> None:
    await comparer.take(far())
    await comparer.aclose()
    second = Comparer(section(keep=3), tmp_path, HIDDEN)
    await second.take(near())
    await second.aclose()
    counts = report(tmp_path).counts
    assert (counts.agreed, counts.differed) == (1, 1)
    told = second.status()["comparisons"]["ocr"]["ocr-2"]  # control adds up what processes have counted
    assert (told["agreed"], told["differed"]) == (1, 0)


@pytest.mark.parametrize("keep", [0, 50])
async def test_nothing_is_kept_where_nothing_is_to_be(tmp_path: Path, keep: int) -> None:
    comparer = Comparer(section(keep=keep), tmp_path, HIDDEN)
    await comparer.take(far())
    await comparer.aclose()
    assert (tmp_path / "ocr" / "ocr-2" / "differing").exists() == bool(keep)


async def test_another_rule_or_another_candidate_begins_anew(comparer: Comparer, tmp_path: Path) -> None:
    await comparer.take(far())
    await comparer.aclose()
    second = Comparer(section(absolute=5), tmp_path, HIDDEN)
    await second.take(far())
    await second.aclose()
    assert (report(tmp_path).counts.agreed, report(tmp_path).counts.differed) == (1, 0)
    third = Comparer(section(absolute=5), tmp_path, HIDDEN)
    await third.take(exchange(answer({"y": floats(1)}), answer({"y": floats(1)}, "n", version="7")))
    await third.aclose()
    told = report(tmp_path)
    assert (told.counts.agreed, told.candidate) == (1, Side("n", "n", "7"))
    assert (tmp_path / "ocr" / "ocr-2" / "report.previous.json").exists()


async def test_a_changed_configuration_keeps_what_it_does_not_concern(comparer: Comparer) -> None:
    await comparer.take(near(epoch="1"))
    comparer.reconfigure(section(), HIDDEN)
    assert comparer.status()["comparisons"]["ocr"]["ocr-2"]["window"]["agreed"] == 1
    comparer.reconfigure(section(absolute=3), HIDDEN)
    told = comparer.status()["comparisons"]["ocr"]["ocr-2"]
    assert (told["agreed"], told["window"]) == (1, None)
    comparer.reconfigure(TrafficSection(), HIDDEN)
    assert comparer.status() == {"comparisons": {}}


async def test_what_is_kept_is_redacted_as_the_configuration_says_now(comparer: Comparer, tmp_path: Path) -> None:
    await comparer.take(far())
    comparer.reconfigure(section(), RedactSection(request_id=False))
    await comparer.take(far(request_id="second", arrived=10**18))
    lines = sorted((tmp_path / "ocr" / "ocr-2" / "differing" / "ocr").glob("*.jsonl"))
    assert sorted(json.loads(path.read_text())["request_id"] for path in lines) == ["", "second"]
    assert comparer.status()["comparisons"]["ocr"]["ocr-2"]["differed"] == 2


async def test_a_damaged_report_is_told_and_put_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "ocr" / "ocr-2"
    folder.mkdir(parents=True)
    (folder / "report.json").write_text("{")
    comparer = Comparer(section(), tmp_path, HIDDEN)
    assert "the report of before cannot be continued: it is no report" in caplog.text
    await comparer.take(near())
    await comparer.aclose()
    assert report(tmp_path).counts.agreed == 1
    assert (folder / "report.previous.json").read_text() == "{"


async def test_a_folder_that_cannot_be_written_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "reports").write_text("in the way")
    comparer = Comparer(section(), tmp_path / "reports", HIDDEN)
    for given in (far(), far(), near()):
        await comparer.take(given)
    await comparer.aclose()
    await comparer.take(near())
    await comparer.aclose()
    assert caplog.text.count("the report could not be written: ") == 1
    assert caplog.text.count("a request whose answers differ was not kept: ") == 1
    assert comparer.status()["comparisons"]["ocr"]["ocr-2"]["differed"] == 2


async def test_a_function_of_the_user_judges(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    own = tmp_path / "own.py"
    own.write_text("def f(expected, got):\n    return expected['y'].sum() / (got['y'].sum() - 4)\n")
    comparer = Comparer(section(by="function", function=f"{own}:f", least=50), tmp_path / "reports", HIDDEN)
    for given in (pair({"y": floats(3)}, {"y": floats(8)}), pair({"y": floats(3)}, {"y": floats(3)}), near(), near()):
        await comparer.take(given)
    await comparer.aclose()
    told = comparer.status()["comparisons"]["ocr"]["ocr-2"]
    assert (told["agreed"], told["differed"], told["unreadable"]) == (1, 0, 3)
    assert caplog.text.count("an answer could not be compared: ") == 1
    assert "own.py:f gave " in caplog.text


async def test_a_function_that_is_not_there_leaves_answers_unread(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    comparer = Comparer(section(by="function", function="none.py:f"), tmp_path, HIDDEN)
    await comparer.take(near())
    assert "there is no file 'none.py'" in caplog.text
    assert comparer.status()["comparisons"]["ocr"]["ocr-2"]["unreadable"] == 1
    await comparer.aclose()


async def test_a_function_that_never_comes_back_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FUNCTION_SECONDS", 0.05)
    own = tmp_path / "own.py"
    own.write_text(
        "import threading\nlet = threading.Event()\ndef f(expected, got):\n    let.wait(60)\n    return True\n"
    )
    comparer = Comparer(section(by="function", function=f"{own}:f"), tmp_path / "reports", HIDDEN)
    [held] = comparer._pairs.values()
    await comparer.take(near())
    await comparer.take(near())
    assert held._function is not None
    held._function._function.__globals__["let"].set()  # so that its thread ends
    await comparer.aclose()
    told = report(tmp_path / "reports")
    assert told.counts.unreadable == 2
    assert ["took more than 0.05 s, and is not called again" in each for each in told.problems] == [True]

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from converters.build.results import BuildResult
from converters.build.stored import stored
from converters.errors import ConversionError
from converters.report.write import write_reports
from tests.converters.report.builds import everything, failing, passing, result


def test_all_reports_are_written(tmp_path: Path) -> None:
    written = write_reports(everything(), tmp_path)
    assert written.html.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert written.markdown.read_text(encoding="utf-8").startswith("## ")
    assert ET.parse(written.junit).getroot().tag == "testsuites"  # noqa: S314 - written here
    assert {path.name for path in tmp_path.iterdir()} == {"report.html", "report.md", "junit.xml", "results.json"}


def test_results_can_be_read_by_programs(tmp_path: Path) -> None:
    write_reports(result(passing()), tmp_path)
    assert json.loads((tmp_path / "results.json").read_text())["passed"] is True
    assert stored(tmp_path / "results.json", BuildResult) == result(passing())


def test_what_is_no_number_is_null(tmp_path: Path) -> None:
    write_reports(result(failing()), tmp_path)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    figures = json.loads((tmp_path / "results.json").read_text(), parse_constant=refuse)
    lost = figures["models"][0]["variants"][1]["verdict"]["outputs"][1]
    assert (lost["name"], lost["mean_rel"], lost["max_abs"]) == ("lost", None, None)


def test_names_that_are_no_unicode_are_written_nonetheless(tmp_path: Path) -> None:
    broken = BuildResult("2026-11-21T16:20:37+00:00", 1.0, "a CPU \udce4", {}, (passing(),))
    assert "a CPU" in write_reports(broken, tmp_path).html.read_text(encoding="utf-8")


def test_reports_are_replaced(tmp_path: Path) -> None:
    write_reports(result(), tmp_path)
    assert "minilm" in write_reports(result(passing()), tmp_path).markdown.read_text(encoding="utf-8")


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"results\.json' cannot be written"):
        write_reports(result(), tmp_path / "nowhere")

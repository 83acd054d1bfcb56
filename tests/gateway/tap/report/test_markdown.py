import re

from gateway.tap.report.markdown import markdown
from tests.gateway.tap.report.reports import empty, full


def test_everything_is_told() -> None:
    text = markdown(full())
    assert text.startswith("# ocr: ocr-2 version 2 against ocr\n\n**")
    for head in ("## Outputs", "## Latency", "## Worst cases", "## What was not compared, or failed"):
        assert f"\n\n{head}\n\n" in text
    assert "| scores | FP32 \\[1, 10\\] |" in text
    assert "| 1 | the candidate failed: HTTP 503 busy scores |" in text
    assert "| ∞ | differed | 2026-09-21 " in text


def test_a_replay_says_nothing_of_copies() -> None:
    report = full()
    assert "A copy runs beside its original" in markdown(report)
    report.route, report.mirror, report.replayed = "Replay of log", "http://b against http://a", True
    text = markdown(report)
    assert text.startswith("# Replay of log: http://b against http://a\n")
    assert "A copy" not in text


def test_tables_have_as_many_cells_everywhere() -> None:
    for table in re.findall(r"(?:^\|.*\n)+", markdown(full("a|b")), re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_names_mean_nothing_to_markdown() -> None:
    text = markdown(full("<b>*x*\n# y</b>"))
    assert "<b>" not in text.replace("\\<b", "")
    assert "\\<b\\>\\*x\\* \\# y\\</b\\>" in text


def test_an_empty_report_says_so() -> None:
    text = markdown(empty())
    assert "**Nothing compared yet**, from - to - (UTC)." in text
    assert "##" not in text

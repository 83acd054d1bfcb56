import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.summary import (
    Figure,
    added_latency,
    distinct,
    figure,
    find,
    load,
    ratios,
    share_of_alone,
    short,
    table,
    told,
)


def cell(engine: str, *values: float, **row: Any) -> dict[str, Any]:
    point = {"upstream": "null", "kind": "json", "size": "4 KB", "concurrency": 16, **row}
    return {
        "engine": engine,
        **point,
        "rounds": [{"cpu_us": v, "p50_ms": v, "per_second": v, "failure": ""} for v in values],
    }


def test_a_figure_is_the_median_with_the_spread_of_all_rounds() -> None:
    assert figure(cell("a", 75, 100, 125)["rounds"], "cpu_us") == Figure(100, 0.5)


def test_one_failed_round_fails_the_figure() -> None:
    rounds: list[dict[str, Any]] = [
        {"cpu_us": 1.0, "failure": ""},
        {"cpu_us": None, "failure": "2 of 9 requests failed"},
    ]
    found = figure(rounds, "cpu_us")
    assert found is not None
    assert found.failure == "2 of 9 requests failed"
    assert told(found, short) == "FAILED"


def test_what_was_not_measured_has_no_figure() -> None:
    assert figure([{"cpu_us": None}], "cpu_us") is None
    assert told(None, short) == ""


@pytest.mark.parametrize(("spread", "expected"), [(0.04, "100"), (0.3, "100 ±15%")])
def test_a_spread_is_told_where_it_matters(spread: float, expected: str) -> None:
    assert told(Figure(100, spread), short) == expected


@pytest.mark.parametrize(("number", "expected"), [(0.1234, "0.12"), (12.34, "12.3"), (12345.6, "12,346")])
def test_short(number: float, expected: str) -> None:
    assert short(number) == expected


def test_ratios_compare_like_with_like() -> None:
    rows = [cell("us", 50), cell("them", 100), cell("us", 30, size="16 MB"), cell("them", 60, kind="grpc")]
    assert [ratio for _, ratio in ratios(rows, "us", "them", "cpu_us")] == [0.5]


def test_added_latency_is_what_is_above_the_upstreams_own() -> None:
    rows = [cell("direct", 0.2, tool="wrk"), cell("us", 0.5, tool="wrk")]
    assert added_latency(rows, "null", "wrk", "json", "us") == pytest.approx(0.3)
    assert added_latency(rows, "null", "h2load", "json", "us") is None


def test_the_share_of_onnx_runtime_alone() -> None:
    rows = [cell("onnxruntime", 200, model="m"), cell("us", 190, model="m")]
    assert share_of_alone(rows[1], rows) == pytest.approx(0.95)
    assert share_of_alone(rows[1], rows[1:]) is None


def test_find_and_distinct() -> None:
    rows = [cell("a", 1), cell("b", 1), cell("a", 2, kind="grpc")]
    assert distinct(rows, "engine") == ["a", "b"]
    assert find(rows, engine="a", kind="grpc") == rows[2:]


def test_a_table() -> None:
    assert table(("x", "y"), [("1", "2")]) == "| x | y |\n|---|---:|\n| 1 | 2 |"


def test_results_are_read_by_part(tmp_path: Path) -> None:
    (tmp_path / "idle.json").write_text(json.dumps({"rows": []}))
    assert load(tmp_path) == {"idle": {"rows": []}}

from __future__ import annotations

import io
import json

from rich.console import Console

from converters.bench.result import BenchResult, Loaded, Measurement, NotRun
from converters.bench.table import as_json, markdown, rich_table
from converters.machine import Machine

RESULT = BenchResult(
    machine=Machine("Some CPU", 2, 4096, "Linux x86_64", "3.11.7"),
    loaded=(Loaded("FP32", "onnxruntime 1.31.1", 0.25, 12.0), Loaded("a|b", "onnxruntime 1.31.1", 0.5, None)),
    measurements=(
        Measurement("FP32", 1, 1, 100, 10.0, 11.0, 12.0, 100.0, 20.0, 1.0, 1.0),
        Measurement("a|b", 1, 1, 200, 5.0, 6.0, 7.0, 200.0, 10.0, 2.0, 2.0),
        Measurement("a|b", 8, 2, 30, 50.0, 60.0, 70.0, 300.0, 9.0),
    ),
    not_run=(
        NotRun("engine", "there is no GPU; [use] a machine with one"),
        NotRun("FP32", "its batch is fixed; export it", 8),
    ),
)


def shown() -> str:
    written = io.StringIO()
    Console(file=written, width=200).print(rich_table(RESULT))
    return written.getvalue()


def test_terminal_has_figures_bars_and_reasons() -> None:
    text = shown()
    assert "Some CPU, 2 cores" in text
    rows = {line.split("│")[3].strip(): line for line in text.splitlines() if "│     1 │" in line}
    assert rows["FP32"].count("█") == 20
    assert rows["a|b"].count("█") == 10
    assert "2.00x" in rows["a|b"]
    assert "engine was not run: there is no GPU; [use] a machine with one" in text
    assert "FP32 was not run at batch 8" in text


def test_markdown() -> None:
    assert markdown(RESULT).splitlines() == [
        "Measured on Some CPU, 2 cores, 4 GiB free, Linux x86_64, Python 3.11.7.",
        "",
        "| Batch | At once | Variant | p50 ms | p90 ms | p99 ms | Inferences/s | CPU ms each | Faster |",
        "|--:|--:|:--|--:|--:|--:|--:|--:|--:|",
        "| 1 | 1 | FP32 | 10.00 | 11.00 | 12.00 | 100.0 | 20.00 | 1.00x |",
        r"| 1 | 1 | a\|b | 5.00 | 6.00 | 7.00 | 200.0 | 10.00 | 2.00x |",
        r"| 8 | 2 | a\|b | 50.00 | 60.00 | 70.00 | 300.0 | 9.00 |  |",
        "",
        "- FP32: onnxruntime 1.31.1, loaded in 0.25 s, 12 MiB more resident memory",
        "- a|b: onnxruntime 1.31.1, loaded in 0.50 s",
        "- engine was not run: there is no GPU; [use] a machine with one",
        "- FP32 was not run at batch 8: its batch is fixed; export it",
    ]


def test_json_has_all_figures() -> None:
    told = json.loads(as_json(RESULT))
    assert told["machine"]["cores"] == 2
    assert told["measurements"][1]["throughput_ratio"] == 2.0
    assert told["not_run"][0]["variant"] == "engine"


def test_nothing_measured() -> None:
    nothing = BenchResult(RESULT.machine, (), (), ())
    assert markdown(nothing).startswith("Measured on Some CPU")
    assert rich_table(nothing).row_count == 0

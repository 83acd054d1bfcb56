"""The reports of a build, as files."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from converters.build.results import BuildResult
from converters.graph.files import write
from converters.report.html import page
from converters.report.junit import junit
from converters.report.markdown import markdown


@dataclass(frozen=True, slots=True)
class Written:
    """Where the reports are.

    Attributes:
        html: one page with charts that needs no other file.
        markdown: for a job's summary or a merge request.
        junit: for the list of tests of a CI service.
    """

    html: Path
    markdown: Path
    junit: Path


def write_reports(result: BuildResult, output: Path) -> Written:
    """Write `report.html`, `report.md`, `junit.xml`, and `results.json` with every figure for programs.

    Raises:
        OutOfResources: the disk is full.
        ConversionError: the folder cannot be written to.
    """
    written = Written(output / "report.html", output / "report.md", output / "junit.xml")
    write(json.dumps({"passed": result.passed, **_plain(asdict(result))}, indent=2).encode(), output / "results.json")
    write(page(result).encode(), written.html)
    write(markdown(result).encode(), written.markdown)
    write(junit(result), written.junit)
    return written


def _plain(value: Any) -> Any:
    """As JSON has it, which knows neither NaN nor infinity: they become null."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

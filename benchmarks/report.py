"""RESULTS.md from the JSON files: no figure in it is typed by hand. `python -m benchmarks.report [FOLDER]`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from benchmarks import sections, summary, tools
from benchmarks.summary import Row

HERE = Path(__file__).parent


def write(folder: Path, target: Path, console: Console) -> None:
    """Write the report and its plots.

    Args:
        folder: holds the JSON files.
        target: the report; plots go into `images` beside it.
        console: told where it is, and what fails.
    """
    parts = summary.load(folder)
    images = target.parent / "images"
    plotted = _plot(folder, images, console)
    target.write_text(render(parts, plotted))
    console.print(f"Written: {target}", highlight=False, soft_wrap=True)


def render(parts: dict[str, Row], plots: set[str]) -> str:
    """The whole report.

    Args:
        parts: what was measured, by part.
        plots: the names of the plots that are there.
    """
    pieces = ["# Benchmark results", _INTRODUCTION]
    pieces.append(sections.machine(parts))
    verdicts = sections.verdicts(parts)
    if verdicts:
        pieces += ["## Targets", verdicts]
    for name, (title, write_section) in sections.SECTIONS.items():
        if name in parts:
            pieces.append(f"## {title}")
            pieces += [f"![{title}](images/{plot}.svg)" for plot in sections.PLOTS.get(name, ()) if plot in plots]
            pieces += write_section(parts[name])
            pieces += sections.missing(parts[name])
    return "\n\n".join(piece for piece in pieces if piece) + "\n"


_INTRODUCTION = (
    "Written by `make bench` from `results/*.json`. How it is measured, and what was tried: "
    "[docs/architecture/performance.md](../docs/architecture/performance.md). Figures are medians of several rounds in "
    "which everybody is measured in turn; ±N% is half the spread between the smallest and the largest round, given "
    "where that is 5% or more. FAILED marks a cell with a single wrong or missing answer."
)


def _plot(folder: Path, images: Path, console: Console) -> set[str]:
    """Draw in a venv that has matplotlib; the names of the plots that are there afterwards."""
    try:
        python = tools.venv(HERE / "plots" / "requirements.txt", console) / "python"
        command = [str(python), "-m", "benchmarks.plots.draw", str(folder), str(images)]
        environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "MPLBACKEND": "svg"}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=300, check=False, cwd=HERE.parent
        )
        if done.returncode:
            console.print(f"The plots could not be drawn: {done.stderr.strip()[-400:]}", markup=False)
    except tools.ToolError as error:
        console.print(f"No plots: {error}", markup=False)
    return {path.stem for path in images.glob("*.svg")}


if __name__ == "__main__":
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "results"
    write(where, HERE / "RESULTS.md" if where == HERE / "results" else where / "RESULTS.md", Console())

"""`triton-convert build`: all that `configs/engines.yaml` asks for."""

from __future__ import annotations

import signal
from pathlib import Path

import click
from rich.console import Console

from converters.build.config import load
from converters.build.results import BuildResult
from converters.errors import FAILED, GATE_FAILED
from converters.placed import placed
from converters.report.summary import is_gate, totals, troubles

CONFIG_OPTION = click.option(
    "--config", "path", type=click.Path(path_type=Path), default=Path("configs/engines.yaml"), show_default=True
)


@click.command(name="build", short_help="Build, judge and publish all that configs/engines.yaml asks for.")
@CONFIG_OPTION
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one value, as jobs=1.")
@click.option("--model", "only", multiple=True, metavar="NAME", help="Only this model; repeat it for several.")
def command(path: Path, overrides: tuple[str, ...], only: tuple[str, ...]) -> None:
    """Build what changed, judge it, publish it, and write a report."""
    from converters.build.run import Order, build  # noqa: PLC0415 - a mistake in the file is told at once
    from converters.report.write import write_reports  # noqa: PLC0415 - the same

    order = Order(load(path, overrides), path.parent, only)
    console = Console()
    # What ends a job in CI is as good as Ctrl-C: the workers end with this process.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        result = build(order, console)
    except KeyboardInterrupt:
        click.echo("what was finished is kept: the next build goes on from there", err=True)
        raise
    with placed("", "report"):
        written = write_reports(result, order.output)
    _summary(result, console)
    console.print(f"Report: {written.html}, {written.markdown}, {written.junit}", soft_wrap=True, highlight=False)
    if not result.passed:
        raise SystemExit(exit_code(result))


def exit_code(result: BuildResult) -> int:
    """3 if all that failed were gates, 1 if anything else did, 0 if nothing."""
    problems = [trouble.problem for trouble in troubles(result)]
    if not problems:
        return 0
    return GATE_FAILED if all(map(is_gate, problems)) else FAILED


def _summary(result: BuildResult, console: Console) -> None:
    counts = totals(result)
    results = f"{counts.results - counts.failed_results} results ({counts.known} known already)"
    words = f"{counts.models} models, {counts.variants} variants, {results}"
    failed = [model.name for model in result.models if not model.passed]
    console.print(f"{words} in {result.seconds:.1f} s", highlight=False)
    if failed:
        console.print(f"[red]Not as asked: {', '.join(failed)}; nothing of what failed was published[/]")

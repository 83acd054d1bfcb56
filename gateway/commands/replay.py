"""`triton-gateway replay`: recorded requests, sent to any server, and the answers compared."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypedDict

import click
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from gateway.commands import options
from gateway.core.errors import SetupError
from gateway.replay import told
from gateway.replay.results import Results
from gateway.replay.run import Plan, Side
from gateway.replay.run import replay as send
from gateway.replay.target import target_of
from gateway.tap.recording.read import RecordedLog
from gateway.tap.report.model import Report
from gateway.tap.user_function import UserFunction
from gateway.traffic.mirror_sections import CompareSection

_DISAGREES = 2


class _Given(TypedDict):
    """What the command line says."""

    log: str
    to: str
    model: str
    version: str
    only: str
    against: str | None
    against_model: str
    against_version: str
    limit: int | None
    rate: float | None
    concurrency: int
    timeout: float
    report: Path | None
    least_agreement: float | None
    compare: dict[str, Any]


def _comparing(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say when answers agree: those of a mirror's section `compare`."""
    number = click.FloatRange(min=0)
    for option in (
        click.option("--ignore", multiple=True, metavar="OUTPUT", help="An output that is not compared; repeatable."),
        click.option("--least", type=click.FloatRange(0, 100), help="Least percent, if a function gives numbers."),
        click.option("--function", metavar="FILE.py:NAME", help="Your function; means --by function."),
        click.option("--cosine", type=click.FloatRange(-1, 1), help="Least cosine similarity; default 0.999."),
        click.option("--relative", type=number, help="Error allowed as a share of the value; default 0.001."),
        click.option("--absolute", type=number, help="Error allowed in any case; default 0.001."),
        click.option(
            "--by",
            type=click.Choice(["max_error", "cosine", "top1", "function"]),
            help="What decides whether answers agree; default max_error.",
        ),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("log")
@click.option("--to", required=True, metavar="URL", help="Who is asked: http://HOST:PORT or grpc://HOST:PORT.")
@click.option("--model", default="", metavar="NAME", help="The model to ask; default: the recorded one.")
@click.option("--version", default="", metavar="N", help="Its version; default: the recorded one, or any of --model.")
@click.option("--only", default="", metavar="NAME", help="Only requests that were recorded for this model.")
@click.option("--against", metavar="URL", help="Compare with this server's answers instead of the recorded ones.")
@click.option("--against-model", default="", metavar="NAME", help="The model to ask there; default: the recorded one.")
@click.option("--against-version", default="", metavar="N", help="Its version.")
@click.option("--limit", type=click.IntRange(min=1), help="Send only so many requests.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Requests a second; default: as it goes.")
@click.option("--concurrency", type=click.IntRange(1, 1024), default=8, show_default=True, help="Most at a time.")
@click.option(
    "--timeout", type=click.FloatRange(min=0, min_open=True), default=60.0, show_default=True, help="Seconds."
)
@_comparing
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write a .md, .json or .html file.")
@click.option(
    "--least-agreement", type=click.FloatRange(0, 100), metavar="PERCENT", help="Exit code 2 if fewer answers agree."
)
@options.as_json
def replay(as_json: bool, **given: Any) -> None:
    """Send the recorded requests in LOG to a server, and compare the answers.

    LOG is the folder or the s3://, gs:// or az:// URL that `recording.folder` says, or one model's folder in it. They
    are sent in the order in which they arrived.
    """
    keys = CompareSection.model_fields.keys() & given.keys()
    compare = {key: value for key in keys if (value := given.pop(key)) not in (None, ())}
    console = Console(stderr=as_json)
    asked = _Given(**given, compare=compare)  # type: ignore[typeddict-item]  # click has seen to it
    if asked["report"] is not None:
        told.check_file(asked["report"])
    results = asyncio.run(_replay(asked, console))
    if as_json:
        options.echo_json(results.as_dict())
    else:
        console.print(told.summary(results))
    if asked["report"] is not None:
        told.write(results, asked["report"])
        console.print(f"report: {asked['report']}", soft_wrap=True, highlight=False)
    least = asked["least_agreement"]
    if least is not None and (results.agreement is None or results.agreement < least):
        raise SystemExit(_DISAGREES)
    if results.failed == results.sent:
        said = next(iter(results.failures), "there was none any more when it was to be sent")
        raise SetupError(f"{asked['to']} failed every request: {said}")


async def _replay(given: _Given, console: Console) -> Results:
    """Send everything; the connections are closed when it is done."""
    section = _section(given["compare"])
    function = UserFunction(section.function, section.least / 100) if section.by == "function" else None
    log = RecordedLog(given["log"], given["only"])
    total = await log.count()
    models = await log.models()
    if len(models) > 1 and (given["model"] or given["against_model"]):
        raise SetupError(f"{given['log']} holds requests for {', '.join(models)}; choose one of them by --only")
    async with AsyncExitStack() as stack:

        def side(url: str, model: str, version: str) -> Side:
            target = target_of(url, given["timeout"], given["concurrency"])
            stack.push_async_callback(target.aclose)
            return Side(target, model, version)

        against = given["against"]
        plan = Plan(
            to=side(given["to"], given["model"], given["version"]),
            against=None if against is None else side(against, given["against_model"], given["against_version"]),
            section=section,
            function=function,
            limit=given["limit"],
            rate=given["rate"],
            concurrency=given["concurrency"],
        )
        pair = f"{_who(plan.to)} against {_who(plan.against) if plan.against else 'what was recorded'}"
        settings = section.model_dump(mode="json")
        results = Results(Report(f"Replay of {given['log']}", pair, settings, replayed=True), len(models) > 1)
        columns = ("sending", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("", total=min(total, given["limit"] or total))
            await send(log, plan, results, lambda: progress.advance(task))
    return results


def _who(side: Side) -> str:
    """A side as the command line names it."""
    model = " version ".join(filter(None, (side.model, side.version)))
    return f"{model} at {side.target.url}" if side.model else side.target.url


def _section(given: dict[str, Any]) -> CompareSection:
    """When answers agree.

    Raises:
        UsageError: the options do not go together.
    """
    if given.get("function"):
        given.setdefault("by", "function")
    if (given.get("by") == "function") != bool(given.get("function")):
        raise click.UsageError("--by function and --function FILE.py:NAME go together")
    try:
        return CompareSection(**given)
    except ValidationError as error:
        raise click.UsageError("; ".join(str(each["msg"]) for each in error.errors())) from None

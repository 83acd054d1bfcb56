"""`models inspect`, `validate`, `add` and `publish`: from a file to a served model."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from gateway.commands import options, tables
from gateway.commands.follow import Follower, Outcome, unfollowed
from gateway.commands.running import followed_status
from gateway.config import Config
from gateway.core.errors import ModelRefused
from gateway.repository import inbox
from gateway.repository import source as object_store
from gateway.repository.description import Hints, Prepared
from gateway.repository.drops import Drop, belongings, signature
from gateway.repository.hints import parse_input
from gateway.repository.publish import Publisher
from gateway.repository.reader import is_model
from gateway.repository.sandbox import prepare
from gateway.repository.store import Store

_SOURCE = click.argument("source", type=click.Path(path_type=Path))


@click.command()
@_SOURCE
@options.inputs
@options.as_json
@options.configured
def inspect(
    source: Path, inputs: tuple[str, ...], as_json: bool, path: Path | None, overrides: tuple[str, ...]
) -> None:
    """Say what a model file or folder is: kind, inputs and outputs, batching, and what it does not tell."""
    config = options.load_config(path, overrides, ())
    prepared, _ = _prepare(config, _existing(source), _name_of(source), inputs, "inspect")
    if as_json:
        options.echo_json(prepared.description.as_dict())
        return
    for part in tables.description(prepared.description):
        Console().print(part)


@click.command()
@click.argument("source", metavar="SOURCE|NAME", shell_complete=options.complete_model)
@options.inputs
@click.option("--accept", is_flag=True, help="Take the files of a published model as they are now.")
@options.as_json
@options.configured
def validate(  # noqa: PLR0913, PLR0917 - click gives one for each option
    source: str,
    inputs: tuple[str, ...],
    accept: bool,
    as_json: bool,
    path: Path | None,
    overrides: tuple[str, ...],
) -> None:
    """Try a model out without a Triton: it loads, runs, gives the same twice, and what its framework gives."""
    config = options.load_config(path, overrides, ())
    is_file = Path(source).exists() and not accept
    where = Path(source) if is_file else _store(config).existing(source)
    prepared, text = _prepare(config, where, _name_of(where), inputs, "validate")
    if accept:
        _store(config).accept(source)
    if as_json:
        checks = [asdict(check) for check in prepared.checks]
        about = prepared.description.as_dict()
        options.echo_json({"name": _name_of(where), "description": about, "checks": checks, "config": text})
        return
    console = Console()
    for part in tables.description(prepared.description):
        console.print(part)
    console.print(tables.checks(prepared.checks))
    if accept:
        console.print(f"[green]✓[/] the files of {source} are taken as they are now")


@click.command()
@_SOURCE
@click.option("--name", help="What the model is to be called; default: the file's name without its ending.")
@options.inputs
@options.as_json
@options.configured
def add(  # noqa: PLR0913, PLR0917 - click gives one for each option
    source: Path,
    name: str | None,
    inputs: tuple[str, ...],
    as_json: bool,
    path: Path | None,
    overrides: tuple[str, ...],
) -> None:
    """Add a new model to the repository, and wait until it is served if a gateway runs."""
    config = options.load_config(path, overrides, ())
    chosen = name or _name_of(_existing(source))
    if is_model(_store(config).folder(chosen)):
        raise ModelRefused(
            f"there is a model {chosen!r} already; publish a new version of it with "
            f"`triton-gateway models publish {chosen} {source}`, or choose another with --name"
        )
    finish(_publish(config, chosen, source, inputs), as_json)


@click.command()
@options.name_of_model
@_SOURCE
@options.inputs
@options.as_json
@options.configured
def publish(  # noqa: PLR0913, PLR0917 - click gives one for each option
    name: str,
    source: Path,
    inputs: tuple[str, ...],
    as_json: bool,
    path: Path | None,
    overrides: tuple[str, ...],
) -> None:
    """Publish a new version of a model; the old one serves until the new one was tried out beside it."""
    finish(_publish(options.load_config(path, overrides, ()), name, _existing(source), inputs), as_json)


def _existing(source: Path) -> Path:
    if not source.exists():
        raise ModelRefused(f"{source}: there is no such file or folder")
    return source


def _name_of(source: Path) -> str:
    return source.stem if source.is_file() else source.resolve().name


def _publish(config: Config, name: str, source: Path, inputs: tuple[str, ...]) -> Outcome:
    if config.repository.source is not None:
        return _upload(config, config.repository.source, name, source, inputs)
    said = tuple(map(parse_input, inputs))
    console = Console(stderr=True)
    repository = config.repository.path
    if followed_status(config) is None:
        drop = Drop(name, source, belongings(source))
        return unfollowed(name, asyncio.run(_publish_here(config, drop, Hints(inputs=said), console)))
    with console.status(f"{name}: copying {source.name} into the repository"):
        waiting = inbox.put(repository, name, source, said)
    follower = Follower(config, console, name)
    try:
        version = follower.until_published(waiting)
    except ModelRefused:
        inbox.take_back(waiting)
        raise
    return follower.until_served(version)


def _upload(config: Config, url: str, name: str, source: Path, inputs: tuple[str, ...]) -> Outcome:
    """Try a model out here, and put it where every gateway with this object store finds it."""
    _prepare(config, source, name, inputs, "validate")
    with (
        tempfile.TemporaryDirectory(prefix="triton-gateway-") as scratch,
        Console(stderr=True).status(f"{name}: copying {source.name} to {url}"),
    ):
        folder = inbox.put(Path(scratch), name, source, tuple(map(parse_input, inputs)))
        asyncio.run(object_store.upload(object_store.open_source(url, Path(scratch)), name, folder / source.name))
    seconds = config.repository.source_seconds
    return Outcome(name, None, "uploaded", f"gateways that follow {url} look every {seconds:g} s")


async def _publish_here(config: Config, drop: Drop, hints: Hints, console: Console) -> int:
    publisher = Publisher(_store(config), lambda _: (), config.repository.sandbox, consume=False)
    with console.status(f"{drop.name}: starting") as shown:
        return await publisher.publish(
            drop, signature(drop.files), lambda step: shown.update(f"{drop.name}: {step}"), hints
        )


def _prepare(config: Config, source: Path, name: str, inputs: tuple[str, ...], step: str) -> tuple[Prepared, str]:
    """What the sandbox makes of a model, and its configuration; the scratch folder is gone afterwards."""
    said = Hints(inputs=tuple(map(parse_input, inputs)))
    with (
        tempfile.TemporaryDirectory(prefix="triton-gateway-") as scratch,
        Console(stderr=True).status(f"{name}: starting") as shown,
    ):
        prepared = asyncio.run(
            prepare(
                source,
                name,
                Path(scratch),
                said,
                config.repository.sandbox,
                step=step,
                on_progress=lambda doing: shown.update(f"{name}: {doing}"),
            )
        )
        text = prepared.folder / "config.pbtxt"
        return prepared, text.read_text(encoding="utf-8") if text.exists() else ""


def _store(config: Config) -> Store:
    return Store(config.repository.path, config.repository.keep_versions)


def finish(outcome: Outcome, as_json: bool) -> None:
    """Print an outcome; exit code 2 if the model is in the repository but Triton does not serve it."""
    if as_json:
        options.echo_json(asdict(outcome))
    elif outcome.state == "failed":
        Console(stderr=True).print(
            f"[red]✗[/] {outcome.name} version {outcome.version} is not served: {escape(outcome.reason)}",
            soft_wrap=True,
        )
    else:
        note = f" ({outcome.reason})" if outcome.reason else ""
        version = f" version {outcome.version}" if outcome.version else ""
        Console().print(f"[green]✓[/] {outcome.name}{version} is {outcome.state}{note}", soft_wrap=True)
    if outcome.state == "failed":
        raise SystemExit(2)

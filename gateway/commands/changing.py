"""`models rollback`, `retire`, `remove` and `scaffold`: changes of the repository that need no model file."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
from rich.console import Console

from gateway.commands import options
from gateway.commands.follow import Follower, Outcome, unfollowed
from gateway.commands.publishing import finish
from gateway.commands.running import followed_status
from gateway.config import Config
from gateway.repository import source as object_store
from gateway.repository.store import Store


@click.command()
@options.name_of_model
@click.option("--to", type=click.IntRange(min=1), help="The version; default: the one before the served one.")
@options.as_json
@options.configured
def rollback(name: str, to: int | None, as_json: bool, path: Path | None, overrides: tuple[str, ...]) -> None:
    """Serve an earlier version again, or a later one that was rolled back."""
    config = options.load_config(path, overrides, ())
    version = _store(config).rollback(name, to)
    finish(_served(config, name, version), as_json)


@click.command()
@options.name_of_model
@click.argument("version", type=click.IntRange(min=1))
@options.as_json
@options.configured
def retire(name: str, version: int, as_json: bool, path: Path | None, overrides: tuple[str, ...]) -> None:
    """Take one version out of service; `rollback --to` brings it back."""
    config = options.load_config(path, overrides, ())
    store = _store(config)
    store.retire(name, version)
    served = store.known(name).served
    assert served is not None  # noqa: S101 - the last one cannot be retired
    finish(_served(config, name, served), as_json)


@click.command()
@options.name_of_model
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.as_json
@options.configured
def remove(name: str, yes: bool, as_json: bool, path: Path | None, overrides: tuple[str, ...]) -> None:
    """Remove a model with all its versions."""
    config = options.load_config(path, overrides, ())
    store = _store(config)
    found = store.known(name)
    if not yes:
        count = len(found.versions)
        click.confirm(f"Remove {name} with {count} version{'s' * (count != 1)}?", abort=True, err=True)
    if config.repository.source is not None:
        asyncio.run(
            object_store.delete(object_store.open_source(config.repository.source, config.repository.path), name)
        )
    store.remove(name)
    if followed_status(config) is not None:
        Follower(config, Console(stderr=True), name).until_gone()
    if as_json:
        options.echo_json({"name": name, "version": None, "state": "removed", "reason": ""})
    else:
        Console().print(f"[green]✓[/] {name} is removed")


@click.command()
@click.argument("name")
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder in which it is made; default: the repository, where a running gateway serves it at once.",
)
@options.as_json
@options.configured
def scaffold(name: str, into: Path | None, as_json: bool, path: Path | None, overrides: tuple[str, ...]) -> None:
    """Write a Python model with pre- and post-processing to start from: an image classifier with top-5."""
    from gateway.repository.scaffold import scaffold as write_scaffold  # noqa: PLC0415 - needed by this command alone

    folder = into or options.load_config(path, overrides, ()).repository.path
    files = write_scaffold(folder, name)
    if as_json:
        options.echo_json({"name": name, "state": "written", "files": [str(file) for file in files]})
        return
    console = Console()
    for file in files:
        console.print(f"  {file}", highlight=False, soft_wrap=True)
    console.print(f"[green]✓[/] {name} is written; put your own network into {folder / name / '1' / 'model.py'}")


def _served(config: Config, name: str, version: int) -> Outcome:
    if followed_status(config) is None:
        return unfollowed(name, version)
    return Follower(config, Console(stderr=True), name).until_served(version)


def _store(config: Config) -> Store:
    return Store(config.repository.path, config.repository.keep_versions)

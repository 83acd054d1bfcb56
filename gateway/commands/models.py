"""`triton-gateway models`: what there is, and everything that can be done with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from gateway.commands import changing, options, publishing, tables
from gateway.commands.running import repository_status, status_of
from gateway.config import Config
from gateway.core.errors import ModelRefused
from gateway.narrate import reach
from gateway.repository import catalog, drops
from gateway.repository.catalog import Entry
from gateway.repository.examples.calls import calls
from gateway.repository.records import Records
from gateway.repository.scan import installed_frameworks, scan

_LANGUAGES = ("curl", "python-http", "python-grpc", "javascript")


@click.group()
def models() -> None:
    """The models of the repository."""


@models.command("fetch")
@options.configured
@options.frameworks
@click.option("--sources", is_flag=True, help="Fetch the models that are only converted (`make engines`) too.")
def fetch(path: Path | None, overrides: tuple[str, ...], frameworks: tuple[str, ...], sources: bool) -> None:
    """Fetch the sample models that the repository's manifest names."""
    from gateway.repository.samples import fetch_samples  # noqa: PLC0415 - needed by this command alone

    config = options.load_config(path, overrides, frameworks)
    console = Console()
    chosen = config.repository.frameworks or installed_frameworks()
    for sample in fetch_samples(config.repository.path, chosen, console, sources=sources):
        if sample.state == "present":  # the others were told as they came
            console.print(f"{sample.name}: already there", highlight=False)


@models.command("list")
@options.as_json
@options.configured
def list_(as_json: bool, path: Path | None, overrides: tuple[str, ...]) -> None:
    """List the models: what each is, whether it is served, and why not."""
    entries = _entries(options.load_config(path, overrides, ()))
    if as_json:
        options.echo_json([{**entry.summary(), "problem": entry.reason or None} for entry in entries])
    elif entries:
        Console().print(tables.models(entries))
    else:
        Console().print("There are no models. Drop a file into the repository, or: triton-gateway models add FILE")


@models.command()
@options.name_of_model
@click.option("--call", type=click.Choice(_LANGUAGES), help="Print only a ready-made call in this language.")
@options.as_json
@options.configured
def show(name: str, call: str | None, as_json: bool, path: Path | None, overrides: tuple[str, ...]) -> None:
    """Show one model: state, signature, versions, validation, and how to call it."""
    config = options.load_config(path, overrides, ())
    entry = _entry(config, name)
    examples = calls(entry, *_addresses(config))
    if call and call not in examples:
        raise ModelRefused(f"{name}: its inputs are not known, so there is no call to show {entry.reason}".rstrip())
    if call:
        click.echo(examples[call])
    elif as_json:
        options.echo_json({**entry.as_dict(), "calls": examples})
    else:
        console = Console()
        console.print(tables.model(entry))
        if "curl" in examples:
            console.print("[bold]Call it[/] (others: --call python-http, python-grpc, javascript)")
            click.echo(examples["curl"])


@models.command()
@options.name_of_model
@options.as_json
@options.configured
def versions(name: str, as_json: bool, path: Path | None, overrides: tuple[str, ...]) -> None:
    """List the versions of a model: which serves, which are kept, and which were set aside."""
    entry = _entry(options.load_config(path, overrides, ()), name)
    if as_json:
        options.echo_json([version.as_dict() for version in entry.versions])
    else:
        Console().print(tables.versions(entry))


for _command in (
    publishing.inspect,
    publishing.validate,
    publishing.add,
    publishing.publish,
    changing.rollback,
    changing.retire,
    changing.remove,
    changing.scaffold,
):
    models.add_command(_command)


def _entries(config: Config) -> list[Entry]:
    """What is on the disk, with what a running gateway says of it."""
    repository = config.repository.path
    folders = {folder.name: folder for folder in scan(repository, config.repository.frameworks)}
    waiting = {drop.name: drop for drop in drops.find(repository)}
    told: Mapping[str, Any] = repository_status(config) or {"models": {}}
    found = {entry.name: entry for entry in catalog.entries(Records(repository).read(), told)}
    for name, folder in folders.items():
        if drops.is_model_folder(folder.path):
            entry = found.get(name, Entry(name))
            found[name] = entry if entry.reason or folder.problem is None else replace(entry, reason=folder.problem)
    for name, drop in waiting.items():
        found.setdefault(name, Entry(name, "dropped", drop.problem, drop=drop.source.name))
    return [found[name] for name in sorted(found)]


def _entry(config: Config, name: str) -> Entry:
    entries = {entry.name: entry for entry in _entries(config)}
    if name not in entries:
        near = catalog.nearest(name, entries)
        hint = f"did you mean {near!r}?" if near else "`triton-gateway models list` shows which there are"
        raise ModelRefused(f"there is no model {name!r} in {config.repository.path}; {hint}")
    return entries[name]


def _addresses(config: Config) -> tuple[str, str]:
    """Where applications reach the gateway: as it runs, or as it is configured."""
    addresses = (status_of(config) or {}).get("addresses") or {
        "http": f"{config.http.host}:{config.http.port}",
        "grpc": f"{config.grpc.host}:{config.grpc.port}",
    }
    return reach(addresses["http"]), reach(addresses["grpc"])

"""`triton-gateway canary`: how new targets of a running gateway take over."""

from __future__ import annotations

import time

import click
from rich.console import Console
from rich.live import Live

from gateway.commands import canary_tables, options
from gateway.commands.steering import Asked, ask, asking, below, change, changing, name_of_route, say

_WATCH_SECONDS = 1.0
_UNDER_WAY = ("waiting", "running", "paused")


@click.group()
def canary() -> None:
    """Canaries of a running gateway: new targets that take over step by step."""


@canary.command("list")
@asking
def list_(asked: Asked) -> None:
    """List the canaries: how far each is."""
    told = ask(asked.config, "/v1/canaries")
    if asked.as_json:
        options.echo_json(told)
    elif told["canaries"]:
        Console().print(canary_tables.canaries(told["canaries"], time.time()))
    else:
        Console().print("There are no canaries. Write `canary: {candidate: TARGET}` into a route with two targets.")


@canary.command()
@name_of_route
@click.option("--watch", is_flag=True, help="Follow it until it is over; exit code 2 unless it was promoted.")
@asking
def show(name: str, watch: bool, asked: Asked) -> None:
    """Show one canary: its steps, what its gates say with all numbers, and what was decided."""
    told = ask(asked.config, below("canaries", name))
    if watch:
        told = _watch(asked, name)
    elif not asked.as_json:
        Console().print(canary_tables.canary(told, time.time()))
    if asked.as_json:
        options.echo_json(told)
    if watch and told["phase"] != "promoted":
        raise SystemExit(2)


@canary.command()
@name_of_route
@changing
def pause(name: str, asked: Asked) -> None:
    """Have a canary stay at its share; nothing is decided until it is resumed."""
    _operate(asked, name, "pause", "is paused at {percent:g} %")


@canary.command()
@name_of_route
@changing
def resume(name: str, asked: Asked) -> None:
    """Have a paused canary go on."""
    _operate(asked, name, "resume", "goes on at {percent:g} %")


@canary.command()
@name_of_route
@changing
def abort(name: str, asked: Asked) -> None:
    """Take a canary back: all requests go to the baseline."""
    _operate(asked, name, "abort", "is aborted; everything goes to {baseline}")


@canary.command()
@name_of_route
@changing
def promote(name: str, asked: Asked) -> None:
    """Have a canary take its next step now, whatever its gates say; one that waits for its model begins."""
    _operate(asked, name, "promote", "is {phase} at {percent:g} %")


@canary.command()
@name_of_route
@changing
def restart(name: str, asked: Asked) -> None:
    """Have a canary begin anew, at its first step."""
    _operate(asked, name, "restart", "{says}")


def _operate(asked: Asked, name: str, verb: str, done: str) -> None:
    told = change(asked, "POST", below("canaries", name, f"/{verb}"))
    say(asked, f"canary {name} {done.format(**told)}", told)


def _watch(asked: Asked, name: str) -> dict[str, object]:
    """Show it again and again until it is over; with JSON, only wait."""
    console = Console(stderr=asked.as_json)
    with Live(console=console, auto_refresh=False, transient=asked.as_json) as live:
        while True:
            told = ask(asked.config, below("canaries", name))
            live.update(canary_tables.canary(told, time.time()), refresh=True)
            if told["phase"] not in _UNDER_WAY or told["by_hand"]:
                return told
            time.sleep(_WATCH_SECONDS)

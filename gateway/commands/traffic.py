"""`triton-gateway traffic`: where the requests of a running gateway go."""

from __future__ import annotations

import click
from rich.console import Console

from gateway.commands import options, traffic_tables
from gateway.commands.steering import Asked, ask, asking, below, change, changing, name_of_route, say
from gateway.core.errors import SetupError


@click.group()
def traffic() -> None:
    """Routes, weights and aliases of a running gateway."""


@traffic.command("list")
@asking
def list_(asked: Asked) -> None:
    """List the routes with the shares of their targets, and the aliases."""
    routes, aliases = ask(asked.config, "/v1/routes"), ask(asked.config, "/v1/aliases")
    if asked.as_json:
        options.echo_json({**routes, "aliases": aliases["aliases"]})
    elif routes["routes"] or aliases["aliases"]:
        Console().print(traffic_tables.routes(routes["routes"], aliases["aliases"]))
    else:
        Console().print("There are no routes: every name means the model itself. Write some below `traffic.routes`.")


@traffic.command()
@name_of_route
@asking
def show(name: str, asked: Asked) -> None:
    """Show one route: targets with shares, errors and latencies, mirrors, and what was changed."""
    told = ask(asked.config, below("routes", name))
    if asked.as_json:
        options.echo_json(told)
    else:
        Console().print(traffic_tables.route(told))


@traffic.command("set")
@name_of_route
@click.argument("weights", nargs=-1, required=True, metavar="TARGET=PERCENT...")
@changing
def set_(name: str, weights: tuple[str, ...], asked: Asked) -> None:
    """Set the weights of a route's targets: 100 in sum, and nothing for a target that is left out."""
    body = {"weights": dict(_weight(text) for text in weights)}
    _say_route(asked, change(asked, "PUT", below("routes", name, "/weights"), body))


@traffic.command()
@name_of_route
@click.argument("target")
@changing
def switch(name: str, target: str, asked: Asked) -> None:
    """Send all requests of a route to one target (blue-green)."""
    _say_route(asked, change(asked, "POST", below("routes", name, "/switch"), {"target": target}))


@traffic.command()
@name_of_route
@changing
def rollback(name: str, asked: Asked) -> None:
    """Have the weights of a route as they were before the last change; a canary that runs is taken back.

    Another rollback goes further back. Nothing is toggled: to have again what was left, set it.
    """
    told = change(asked, "POST", below("routes", name, "/rollback"))
    say(asked, f"{told['name']}: {told['history'][0]['what']}", told)


@traffic.command()
@click.argument("name")
@click.argument("to", metavar="MODEL[/VERSION]")
@changing
def alias(name: str, to: str, asked: Asked) -> None:
    """Have NAME mean a model or a route, or one version of it."""
    say(asked, f"{name} means {to}", change(asked, "PUT", below("aliases", name), {"to": to}))


@traffic.command()
@click.argument("name")
@changing
def unalias(name: str, asked: Asked) -> None:
    """Take an alias away."""
    say(asked, f"{name} is no alias any more", change(asked, "DELETE", below("aliases", name)))


def _say_route(asked: Asked, told: dict[str, object]) -> None:
    shares = told["weights"]
    assert isinstance(shares, dict)  # noqa: S101 - the API's own
    say(asked, f"{told['name']}: {traffic_tables.shares(shares)}", told)


def _weight(text: str) -> tuple[str, float]:
    target, _, percent = text.rpartition("=")
    try:
        return target, float(percent.removesuffix("%"))
    except ValueError:
        raise SetupError(f"{text!r} is not TARGET=PERCENT, such as iris-2=10") from None

"""What `traffic` and `canary` share: their options, and how they ask a gateway that runs."""

from __future__ import annotations

import functools
import getpass
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import click
import httpx
from rich.console import Console
from rich.markup import escape

from gateway.commands import options
from gateway.config import Config
from gateway.core.errors import SetupError
from gateway.narrate import reach

_ASK_SECONDS = 10.0
_FOLLOW_SECONDS = 5.0
_LOOK_SECONDS = 0.1


class Asked(NamedTuple):
    """What every command is told.

    Attributes:
        config: says where the gateway is.
        as_json: whether to print JSON.
        why: the reason that was given.
    """

    config: Config
    as_json: bool
    why: str


def asking(command: options.Command) -> options.Command:
    """Add `--json`, `--config` and `--set`, which the command gets as `asked`."""

    @functools.wraps(command)
    def run(*args: Any, as_json: bool, path: Path | None, overrides: tuple[str, ...], **rest: Any) -> None:
        config = options.load_config(path, overrides, ())
        command(*args, asked=Asked(config, as_json, rest.pop("why", "")), **rest)

    return options.as_json(options.configured(run))


def changing(command: options.Command) -> options.Command:
    """The same with `--why`."""
    return click.option("--why", default="", metavar="TEXT", help="The reason, for the history.")(asking(command))


def name_of_route(command: options.Command) -> options.Command:
    """Add the argument ROUTE, which the shell completes."""
    return click.argument("name", metavar="ROUTE", shell_complete=complete_route)(command)


def complete_route(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The configuration's routes whose names begin like this."""
    try:
        config = options.load_config(context.params.get("path"), context.params.get("overrides") or (), ())
    except SetupError:
        return []
    return [route.label for route in config.traffic.routes if route.label.startswith(incomplete)]


def ask(config: Config, path: str, method: str = "GET", body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the gateway at `control.port` answers.

    Raises:
        SetupError: none does, or it refuses; the message says why.
    """
    address = reach(f"{config.control.host}:{config.control.port}")
    sent = {"json": dict(body or {})} if method != "GET" else {}
    try:
        reply = httpx.request(method, f"http://{address}{path}", timeout=_ASK_SECONDS, trust_env=False, **sent)  # type: ignore[arg-type]
        told: dict[str, Any] = reply.json()
    except (httpx.HTTPError, ValueError):
        raise SetupError(
            f"no gateway answers at {config.control.host}:{config.control.port} (control.port); start one with "
            "`triton-gateway up`, or name another with --set control.port=PORT"
        ) from None
    if not reply.is_success:
        raise SetupError(str(told.get("error") or f"the gateway refused with status {reply.status_code}"))
    return told


def change(asked: Asked, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Have the gateway change something, and wait a few seconds until every data worker goes by it.

    Returns:
        what it answered, with `workers_follow` as it was at last.

    Raises:
        SetupError: no gateway answers, or it refuses.
    """
    told = ask(asked.config, path, method, {**(body or {}), "why": asked.why, "who": _who()})
    deadline = time.monotonic() + _FOLLOW_SECONDS
    while told["workers_follow"] < told["workers"] and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
        now = ask(asked.config, "/v1/routes")
        if now["revision"] != told["revision"]:
            break  # something else was changed since
        told |= {key: now[key] for key in ("workers", "workers_follow")}
    return told


def say(asked: Asked, what: str, told: Mapping[str, Any]) -> None:
    """Say that something was changed, and who goes by it."""
    if asked.as_json:
        options.echo_json(told)
        return
    console, followed, workers = Console(), told["workers_follow"], told["workers"]
    if workers and followed >= workers:
        console.print(f"[green]✓[/] {escape(what)}; {_workers(workers)} by it", highlight=False, soft_wrap=True)
    else:
        line = f"[yellow]![/] {escape(what)}; {followed} of {workers} data workers go by it yet"
        console.print(line, highlight=False, soft_wrap=True)
    if told.get("unsaved"):
        console.print(f"[red]It is lost at a restart:[/] the state file cannot be written ({escape(told['unsaved'])})")


def below(kind: str, name: str, rest: str = "") -> str:
    """The path of something with this name."""
    return f"/v1/{kind}/{quote(name, safe='')}{rest}"


def _workers(count: int) -> str:
    return "the data worker goes" if count == 1 else f"all {count} data workers go"


def _who() -> str:
    try:
        return f"{getpass.getuser()}@{platform.node()}"
    except (OSError, KeyError):  # a container's user that has no name
        return platform.node()

"""The command line: `triton-gateway`."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from gateway.config import Config, load
from gateway.core.errors import SetupError
from gateway.reload import ConfigFile

DEFAULT_CONFIG = Path("configs/gateway.yaml")


class Commands(click.Group):
    """A group whose set-up errors end as one line and exit code 1, never as a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except SetupError as error:
            raise click.ClickException(error.message) from None
        except KeyboardInterrupt:
            raise click.Abort from None


def _configured(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that every command with a configuration has."""
    for option in (
        click.option(
            "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one value, as http.port=9000."
        ),
        click.option(
            "--config",
            "path",
            type=click.Path(dir_okay=False, path_type=Path),
            help=f"Configuration file; default {DEFAULT_CONFIG} where it exists.",
        ),
    ):
        command = option(command)
    return command


def _frameworks(command: Callable[..., None]) -> Callable[..., None]:
    return click.option(
        "--framework",
        "frameworks",
        multiple=True,
        type=click.Choice(["onnx", "pytorch", "tensorflow"]),
        help="Serve only models of this framework; repeat it for several. Default: every one that is installed.",
    )(command)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="triton-gateway")
def main() -> None:
    """A thin inference gateway in front of NVIDIA Triton Inference Server."""


@main.command()
@_configured
@_frameworks
@click.option("--demo/--no-demo", default=True, help="Show the main job on real input once everything is ready.")
def up(path: Path | None, overrides: tuple[str, ...], frameworks: tuple[str, ...], demo: bool) -> None:
    """Start Triton and the gateway here, show the main job, and serve until Ctrl-C."""
    from gateway.up import Gateway, check_ports, prepare  # noqa: PLC0415 - child processes start without it

    config = _load(path, overrides, frameworks)
    console = Console()
    check_ports(config)
    prepared = None if config.upstreams else prepare(config, console)
    _log_to_stderr()
    asyncio.run(Gateway(config, console, _file(path, overrides, frameworks)).run(prepared, demo))


@main.command()
@_configured
def serve(path: Path | None, overrides: tuple[str, ...]) -> None:
    """Serve in front of the external Tritons that the configuration names."""
    from gateway.up import Gateway, check_ports  # noqa: PLC0415 - child processes start without it

    config = _load(path, overrides, ())
    if not config.upstreams:
        raise SetupError(
            "no external Triton is configured: add `upstreams: [{http: HOST:8000, grpc: HOST:8001}]`, "
            "or start an embedded one with `triton-gateway up`"
        )
    check_ports(config)
    _log_to_stderr()
    asyncio.run(Gateway(config, Console(), _file(path, overrides, ())).run(None, demo=False))


@main.command()
@_configured
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(path: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Show how a running gateway is: processes, Tritons, models. Exit code 2 if something is not ready."""
    from gateway.control.report import is_well, render  # noqa: PLC0415 - child processes start without it

    section = _load(path, overrides, ()).control
    told = _ask_control(section.host, section.port)
    if as_json:
        click.echo(json.dumps(told, indent=2))
    else:
        Console().print(render(told))
    if not is_well(told):
        raise SystemExit(2)


def _ask_control(host: str, port: int) -> dict[str, Any]:
    import httpx  # noqa: PLC0415 - child processes start without it

    from gateway.narrate import reach  # noqa: PLC0415 - the same

    address = f"{host}:{port}"
    try:
        reply = httpx.get(f"http://{reach(address)}/v1/status", timeout=5, trust_env=False)
        reply.raise_for_status()
        told: dict[str, Any] = reply.json()
    except (httpx.HTTPError, ValueError):
        raise SetupError(
            f"no gateway answers at {address} (control.port); start one with `triton-gateway up`, "
            "or name another with --set control.port=PORT"
        ) from None
    return told


@main.group()
def models() -> None:
    """The models of the repository."""


@models.command("fetch")
@_configured
@_frameworks
def models_fetch(path: Path | None, overrides: tuple[str, ...], frameworks: tuple[str, ...]) -> None:
    """Fetch the sample models that the repository's manifest names."""
    from gateway.repository.samples import fetch_samples  # noqa: PLC0415 - child processes start without it
    from gateway.up import frameworks_of  # noqa: PLC0415 - the same

    config = _load(path, overrides, frameworks)
    console = Console()
    for sample in fetch_samples(config.repository.path, frameworks_of(config), console):
        if sample.state == "present":  # the others were told as they came
            console.print(f"{sample.name}: already there", highlight=False)


@models.command("list")
@_configured
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def models_list(path: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """List the repository's models and what keeps each from being served, if anything does."""
    from gateway.repository.scan import scan  # noqa: PLC0415 - child processes start without it
    from gateway.up import frameworks_of  # noqa: PLC0415 - the same

    config = _load(path, overrides, ())
    folders = scan(config.repository.path, frameworks_of(config))
    if as_json:
        rows = [
            {"name": f.name, "backend": f.backend, "versions": list(f.versions), "problem": f.problem} for f in folders
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    table = Table("model", "backend", "versions", "can be served")
    for f in folders:
        table.add_row(f.name, f.backend or "?", ", ".join(map(str, f.versions)), f.problem or "[green]yes[/]")
    Console().print(table)


@main.group()
def config() -> None:
    """The configuration."""


@config.command("check")
@_configured
def config_check(path: Path | None, overrides: tuple[str, ...]) -> None:
    """Say whether the configuration is right, and print it with its defaults."""
    click.echo(_load(path, overrides, ()).model_dump_json(indent=2))


@config.command("schema")
def config_schema() -> None:
    """Print the configuration's JSON Schema."""
    click.echo(json.dumps(Config.model_json_schema(), indent=2))


@main.command(hidden=True)
def data() -> None:
    """A data process, as the launcher starts it."""
    from gateway import worker  # noqa: PLC0415 - each child imports what it runs, and nothing of the others

    _log_to_stderr()
    worker.run(worker.data)


@main.command(hidden=True)
def control() -> None:
    """The control process, as the launcher starts it."""
    from gateway import worker  # noqa: PLC0415 - each child imports what it runs, and nothing of the others

    _log_to_stderr()
    worker.run(worker.control)


def _load(path: Path | None, overrides: tuple[str, ...], frameworks: tuple[str, ...]) -> Config:
    if frameworks:
        overrides = (*overrides, f"repository.frameworks=[{', '.join(frameworks)}]")
    return load(_or_default(path), overrides)


def _file(path: Path | None, overrides: tuple[str, ...], frameworks: tuple[str, ...]) -> ConfigFile:
    """The same, to be read again when it changes; what the command line says stays in force."""
    return ConfigFile(_or_default(path), lambda: _load(path, overrides, frameworks))


def _or_default(path: Path | None) -> Path | None:
    return DEFAULT_CONFIG if path is None and DEFAULT_CONFIG.exists() else path


def _log_to_stderr() -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    for noisy in ("httpx", "httpcore", "uvicorn"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


if __name__ == "__main__":
    main()

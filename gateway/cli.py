"""The command line: `triton-gateway`."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path

import click
from rich.console import Console

from gateway.commands import options
from gateway.config import Config
from gateway.core.errors import SetupError
from gateway.reload import ConfigFile

# Imported when they are asked for: every process of the gateway starts from this module.
_ELSEWHERE = {
    name: f"gateway.commands.{name}"
    for name in ("canary", "compare", "completion", "models", "render", "replay", "traffic")
}


@click.group(cls=options.Commands, elsewhere=_ELSEWHERE, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="triton-gateway")
def main() -> None:
    """A thin inference gateway in front of NVIDIA Triton Inference Server."""


@main.command()
@options.configured
@options.frameworks
@click.option("--demo/--no-demo", default=True, help="Show the main job on real input once everything is ready.")
def up(path: Path | None, overrides: tuple[str, ...], frameworks: tuple[str, ...], demo: bool) -> None:
    """Start Triton and the gateway here, show the main job, and serve until Ctrl-C."""
    from gateway.up import Gateway, check_ports, prepare  # noqa: PLC0415 - child processes start without it

    config = options.load_config(path, overrides, frameworks)
    console = Console()
    check_ports(config)
    install = None if config.upstreams else prepare(config, console)
    _log_to_stderr()
    asyncio.run(Gateway(config, console, _file(path, overrides, frameworks)).run(install, demo))


@main.command()
@options.configured
def serve(path: Path | None, overrides: tuple[str, ...]) -> None:
    """Serve in front of the external Tritons that the configuration names."""
    from gateway.up import Gateway, check_ports  # noqa: PLC0415 - child processes start without it

    config = options.load_config(path, overrides, ())
    if not config.upstreams:
        raise SetupError(
            "no external Triton is configured: add `upstreams: [{http: HOST:8000, grpc: HOST:8001}]`, "
            "or start an embedded one with `triton-gateway up`"
        )
    check_ports(config)
    _log_to_stderr()
    asyncio.run(Gateway(config, Console(), _file(path, overrides, ())).run(None, demo=False))


@main.command()
@options.configured
@options.as_json
def status(path: Path | None, overrides: tuple[str, ...], as_json: bool) -> None:
    """Show how a running gateway is: processes, Tritons, models. Exit code 2 if something is not ready."""
    from gateway.commands.running import required_status_of  # noqa: PLC0415 - child processes start without it
    from gateway.control.report import is_well, render  # noqa: PLC0415 - the same

    told = required_status_of(options.load_config(path, overrides, ()))
    if as_json:
        click.echo(json.dumps(told, indent=2))
    else:
        Console().print(render(told))
    if not is_well(told):
        raise SystemExit(2)


@main.group()
def config() -> None:
    """The configuration."""


@config.command("check")
@options.configured
def config_check(path: Path | None, overrides: tuple[str, ...]) -> None:
    """Say whether the configuration is right, and print it with its defaults."""
    click.echo(options.load_config(path, overrides, ()).model_dump_json(indent=2))


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
    logging.getLogger("gateway.traffic").setLevel(logging.WARNING)  # what is decided is printed by the launcher
    worker.run(worker.control)


@main.command(hidden=True)
def tap() -> None:
    """The tap process, as the launcher starts it."""
    from gateway import worker  # noqa: PLC0415 - each child imports what it runs, and nothing of the others

    _log_to_stderr()
    worker.run(worker.tap)


def _file(path: Path | None, overrides: tuple[str, ...], frameworks: tuple[str, ...]) -> ConfigFile:
    """The same, to be read again when it changes; what the command line says stays in force."""
    return ConfigFile(options.or_default(path), lambda: options.load_config(path, overrides, frameworks))


def _log_to_stderr() -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    for noisy in ("httpx", "httpcore", "uvicorn", "watchfiles"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


if __name__ == "__main__":
    main()

"""What commands share: their options, and how the configuration is found and a mistake is told."""

from __future__ import annotations

import functools
import importlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from gateway.config import Config, load
from gateway.core.errors import SetupError
from gateway.traffic.check import Models

DEFAULT_CONFIG = Path("configs/gateway.yaml")

Command = Callable[..., None]


class Commands(click.Group):
    """A group whose set-up errors and misuse end as one line and exit code 1, never as a traceback.

    Args:
        elsewhere: commands by name, with the module that has each as an attribute of that name.
    """

    def __init__(self, *args: Any, elsewhere: Mapping[str, str] | None = None, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._elsewhere = dict(elsewhere or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return sorted([*super().list_commands(ctx), *self._elsewhere])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One command; its module is imported now."""
        if cmd_name not in self._elsewhere:
            return super().get_command(ctx, cmd_name)
        command: click.Command = getattr(importlib.import_module(self._elsewhere[cmd_name]), cmd_name)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the group's own options."""
        with _misuse_is_a_refusal():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            with _misuse_is_a_refusal():
                return super().invoke(ctx)
        except SetupError as error:
            raise click.ClickException(error.message) from None
        except KeyboardInterrupt:
            raise click.Abort from None


@contextmanager
def _misuse_is_a_refusal() -> Iterator[None]:
    """Exit code 1: 2 says that something is not served, and click would say that here too."""
    try:
        yield
    except click.UsageError as error:
        error.exit_code = 1  # type: ignore[misc]  # click reads it from the instance
        raise


def configured(command: Command) -> Command:
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


def frameworks(command: Command) -> Command:
    """Add the option that chooses frameworks."""
    return click.option(
        "--framework",
        "frameworks",
        multiple=True,
        type=click.Choice(["onnx", "pytorch", "tensorflow", "trees"]),
        help="Serve only models of this framework; repeat it for several. Default: every one that is installed.",
    )(command)


def as_json(command: Command) -> Command:
    """Add `--json`, with which a refusal is JSON on standard output too."""

    @functools.wraps(command)
    def told(*args: Any, as_json: bool, **options: Any) -> None:
        try:
            command(*args, as_json=as_json, **options)
        except SetupError as error:
            if not as_json:
                raise
            name = options.get("name") or Path(options.get("source") or "").stem or None
            refused = {"name": name, "version": options.get("version"), "state": "refused", "reason": error.message}
            echo_json(refused)
            raise SystemExit(1) from None

    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(told)


def inputs(command: Command) -> Command:
    """Add `--input`, for models that do not tell theirs."""
    return click.option(
        "--input",
        "inputs",
        multiple=True,
        metavar="NAME:DTYPE:DIMS",
        help="An input that the file does not tell, as image:FP32:-1,3,224,224; repeat it for several.",
    )(command)


def name_of_model(command: Command) -> Command:
    """Add the argument NAME, which the shell completes."""
    return click.argument("name", shell_complete=complete_model)(command)


def complete_model(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The models of the repository whose names begin like this."""
    from gateway.repository.reader import Reader  # noqa: PLC0415 - every process of the gateway reads this module

    try:
        config = load_config(context.params.get("path"), context.params.get("overrides") or (), ())
        names = Reader(config.repository.path).models()
    except SetupError:
        return []
    return [name for name in names if name.startswith(incomplete)]


def load_config(path: Path | None, overrides: tuple[str, ...], chosen: tuple[str, ...]) -> Config:
    """The configuration that a command goes by; `chosen` are frameworks from its command line."""
    if chosen:
        overrides = (*overrides, f"repository.frameworks=[{', '.join(chosen)}]")
    return load(or_default(path), overrides, _models)


def _models(config: Config) -> Models | None:
    """The models that routes may lead to; None where somebody else fills the Tritons, or an object store does."""
    from gateway.repository.known import known_models  # noqa: PLC0415 - only where there are routes

    repository, traffic = config.repository, config.traffic
    if not (traffic.routes or traffic.aliases) or repository.source is not None:
        return None
    if config.upstreams and not repository.fill_upstreams:
        return None
    return known_models(repository.path)


def or_default(path: Path | None) -> Path | None:
    """The file that was named, or the default one where it exists."""
    return DEFAULT_CONFIG if path is None and DEFAULT_CONFIG.exists() else path


def echo_json(value: object) -> None:
    """Print for programs."""
    click.echo(json.dumps(value, indent=2))

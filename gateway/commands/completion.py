"""`triton-gateway completion`: the script that completes commands, options and models in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_PROGRAM = "triton-gateway"
_VARIABLE = "_TRITON_GATEWAY_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that makes SHELL complete commands and model names; in bash: eval "$(... completion bash)"."""
    found = get_completion_class(shell)
    assert found is not None  # noqa: S101 - click has all three
    click.echo(found(context.find_root().command, {}, _PROGRAM, _VARIABLE).source())

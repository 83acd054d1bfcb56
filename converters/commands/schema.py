"""`triton-convert schema`: the JSON Schema of `configs/engines.yaml`, for editors."""

from __future__ import annotations

import json

import click

from converters.build.config import EnginesConfig


@click.command(name="schema")
def command() -> None:
    """Print the JSON Schema of engines.yaml."""
    click.echo(json.dumps(EnginesConfig.model_json_schema(), indent=2))

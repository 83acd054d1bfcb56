"""`triton-convert cache`: what the step cache holds, and how it is made smaller."""

from __future__ import annotations

from pathlib import Path

import click

from converters.commands.build import CONFIG_OPTION


@click.command(name="cache", short_help="Show what is kept of earlier builds, or make it smaller.")
@CONFIG_OPTION
@click.option("--prune", "most_gib", type=click.FloatRange(min=0), metavar="GIB", help="Keep at most so many GiB.")
def command(path: Path, most_gib: float | None) -> None:
    """Show the step cache's size by step; with --prune, remove what was not used for longest."""
    from converters.build.cache import StepCache  # noqa: PLC0415 - `--help` need not wait for libraries
    from converters.build.config import load  # noqa: PLC0415
    from converters.build.run import Order, alone  # noqa: PLC0415

    order = Order(load(path), path.parent)
    cache = StepCache(order.cache)
    if most_gib is not None:
        with alone(order.output):  # a build holds on to results that it has not used up yet
            click.echo(f"removed {cache.prune(int(most_gib * 2**30)) / 2**20:.1f} MiB")
    for step, (count, size) in cache.sizes().items():
        click.echo(f"{step:10} {count:5} results {size / 2**20:10.1f} MiB")
    if not cache.sizes():
        click.echo(f"nothing is kept in {order.cache}")

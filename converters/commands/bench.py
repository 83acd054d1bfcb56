"""`triton-convert bench`: the variants of a model side by side, in one run."""

from __future__ import annotations

from pathlib import Path

import click

from converters.commands import options
from converters.commands.step import step
from converters.commands.tables import show
from converters.errors import ConfigError, ConversionError


@click.command(name="bench", short_help="Compare latency and throughput of models in one run.")
@click.argument("models", nargs=-1, required=True)
@options.data_option(help_text="Input; default: random numbers")
@click.option("--batch", "batches", type=click.IntRange(min=1), multiple=True, default=(1, 8), show_default=True)
@click.option("--concurrency", type=click.IntRange(min=1), multiple=True, default=(1,), show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=10, show_default=True, help="Turns of each variant.")
@click.option("--threads", type=click.IntRange(min=1), help="Of ONNX Runtime; default: all cores.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(  # noqa: PLR0913, PLR0917 - one option each
    models: tuple[str, ...],
    data: str | None,
    batches: tuple[int, ...],
    concurrency: tuple[int, ...],
    rounds: int,
    threads: int | None,
    as_json: bool,
) -> None:
    """Measure MODELS side by side: originals, ONNX in any precision, engines. The first is what others are held to."""
    from converters.bench.measure import bench  # noqa: PLC0415 - `--help` need not wait for libraries
    from converters.bench.result import BenchOptions  # noqa: PLC0415
    from converters.bench.table import as_json as json_of  # noqa: PLC0415
    from converters.bench.table import rich_table  # noqa: PLC0415
    from converters.bench.variants import variant_of  # noqa: PLC0415
    from converters.commands.signatures import known_signature  # noqa: PLC0415
    from converters.data.open import dataset  # noqa: PLC0415
    from converters.engines.validity import is_engine  # noqa: PLC0415
    from converters.graph.signature import signature_of  # noqa: PLC0415
    from converters.originals.base import ExportOptions  # noqa: PLC0415
    from converters.originals.recognise import original  # noqa: PLC0415

    with step(Path(models[0]).name, "bench") as told:
        variants = [variant_of(model, threads) for model in models]
        signature = known_signature(models)
        if signature is None and (data is None or data.startswith("synthetic")):
            told.stage("finding out the inputs")
            source = next((model for model in models if not is_engine(Path(model))), None)
            if source is None:
                raise ConfigError("engines alone do not tell what they take", hint="give input by --data")
            signature = signature_of(original(source).to_onnx(ExportOptions()))
        feeds = next(iter(dataset(data or "synthetic:1", signature=signature)))
        settings = BenchOptions(feeds, batch_sizes=batches, concurrency=concurrency, rounds=rounds)
        result = bench(variants, settings, told)
        if not result.measurements:
            raise ConversionError("nothing could be run", hint="; ".join(each.reason for each in result.not_run))
    if as_json:
        click.echo(json_of(result), nl=False)
    else:
        show(rich_table(result))

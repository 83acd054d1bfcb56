"""`triton-convert verify`: original and result on the same data."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import get_args

import click
from rich.table import Table

from converters.commands import options
from converters.commands.step import step
from converters.commands.tables import show
from converters.precision.base import Precision
from converters.verify.base import Verdict


@click.command(name="verify", short_help="Run original and result on the same data; exit with 3 if they differ.")
@click.argument("source")
@click.argument("result", type=options.FILE)
@options.data_option(required=True)
@click.option(
    "--as", "asked", type=click.Choice(["fp32", "fp16", "bf16", "int8", "fp8"]),
    help="The precision whose limits count where none are given; default: RESULT's.",
)  # fmt: skip
@options.gate_options
def command(
    source: str, result: Path, data: str, asked: Precision | None, metrics: tuple[str, ...], **limits: float | None
) -> None:
    """Run SOURCE, any model, and RESULT, ONNX or an engine, on the same data; exit with 3 if a limit is not met."""
    from converters.build.gate_step import gate_of  # noqa: PLC0415 - `--help` need not wait for libraries
    from converters.commands.signatures import known_signature  # noqa: PLC0415
    from converters.data.open import dataset  # noqa: PLC0415
    from converters.originals.base import ExportOptions  # noqa: PLC0415
    from converters.originals.recognise import original  # noqa: PLC0415
    from converters.verify.explain import gate_failed  # noqa: PLC0415
    from converters.verify.result_runner import result_runner  # noqa: PLC0415
    from converters.verify.verify import verify  # noqa: PLC0415

    section = options.gate_section(limits, metrics)
    with step(result.name, "gate") as told:
        precision = asked or _precision(result)
        gate = gate_of(section, precision)
        given = dataset(data, signature=known_signature((source, result)))
        told.stage("starting both")
        with closing(original(source).runner(ExportOptions())) as first, closing(result_runner(result)) as second:
            verdict = verify(first, second, given, gate, told)
        click.echo(f"{result.name} ({verdict.result}) against {source} ({verdict.original}): {verdict.samples} samples")
        show(table(verdict))
        for function, value in verdict.metrics.items():
            click.echo(f"{function}: {value:.6g}")
        if not verdict.passed:
            raise gate_failed(verdict, precision)
        told.done("passed")


def _precision(result: Path) -> Precision:
    """What an ONNX model computes in, or what `engine.json` says of an engine."""
    from converters.engines.record import read  # noqa: PLC0415 - as above
    from converters.engines.validity import is_engine  # noqa: PLC0415
    from converters.graph.files import load  # noqa: PLC0415
    from converters.precision.types import precision_of  # noqa: PLC0415

    if not is_engine(result):
        return precision_of(load(result))
    told = next((record.precision for record in read(result.parent) if record.file == result.name), "fp32")
    return next((known for known in get_args(Precision) if known == told), "fp32")


def table(verdict: Verdict) -> Table:
    """A verdict as a table: one row for each output."""
    shown = Table()
    for column in ("output", "max abs", "mean abs", "mean rel", "cosine", "top-1", "top-5", "NaN"):
        shown.add_column(column, justify="left" if column == "output" else "right", overflow="fold")
    for each in verdict.outputs:
        shares = ("" if share is None else f"{share:.4f}" for share in (each.top1, each.top5))
        shown.add_row(
            each.name, f"{each.max_abs:.3g}", f"{each.mean_abs:.3g}", f"{each.mean_rel:.3g}", f"{each.cosine:.6f}",
            *shares, str(each.bad or ""),
        )  # fmt: skip
    return shown

"""`triton-convert precision`: an ONNX model in another precision."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from converters.commands import options
from converters.commands.step import step
from converters.errors import BadSource, ConfigError
from converters.precision.base import QUANTISED, Calibration, Precision, Rest, ServedBy

_HALVES = ("fp16", "bf16")


@click.command(name="precision", short_help="Convert an ONNX model to FP16, BF16, INT8 or FP8.")
@click.argument("model", type=options.FILE)
@click.option("--to", "precision", type=click.Choice(["fp16", "bf16", "int8", "fp8"]), required=True)
@options.output_option("ONNX file.")
@click.option("--keep", multiple=True, metavar="NODE", help="Stays in FP32: a name, or a pattern with '*'.")
@click.option("--keep-io/--change-io", default=True, show_default=True, help="Types of inputs and outputs.")
@options.data_option(help_text="Calibration data, for int8 and fp8")
@click.option("--method", type=click.Choice(["minmax", "entropy", "percentile"]), default="minmax", show_default=True)
@click.option("--percentile", type=click.FloatRange(50, 100), default=99.99, show_default=True)
@click.option("--served-by", type=click.Choice(["tensorrt", "cpu"]), default="tensorrt", show_default=True)
@click.option("--rest", type=click.Choice(["fp32", "fp16", "bf16"]), default="fp32", help="What is not quantised.")
@click.option("--operator", "operators", multiple=True, help="Quantise only these; default: those that gain.")
def command(  # noqa: PLR0913, PLR0917 - one option each
    model: Path,
    precision: Precision,
    output: Path,
    keep: tuple[str, ...],
    keep_io: bool,
    data: str | None,
    method: Literal["minmax", "entropy", "percentile"],
    percentile: float,
    served_by: ServedBy,
    rest: Rest,
    operators: tuple[str, ...],
) -> None:
    """Convert MODEL, ONNX in FP32, to FP16, BF16, INT8 or FP8."""
    from converters.data.checked import CheckedDataset  # noqa: PLC0415 - `--help` need not wait for libraries
    from converters.data.open import dataset  # noqa: PLC0415
    from converters.graph.files import load, save  # noqa: PLC0415
    from converters.graph.names import name_nodes  # noqa: PLC0415
    from converters.graph.patterns import matching  # noqa: PLC0415
    from converters.graph.signature import signature_of  # noqa: PLC0415
    from converters.precision.typed import Calibrated, TypedFromOnnx  # noqa: PLC0415
    from converters.precision.types import precision_of  # noqa: PLC0415

    with step(model.name, precision) as told:
        if precision in QUANTISED and not data:
            raise ConfigError(f"{precision} needs calibration data", hint="give some hundred real samples by --data")
        loaded = load(model)
        now = precision_of(loaded)
        if now != "fp32" and not (now in _HALVES and precision in QUANTISED):
            raise BadSource(f"the model is {now} already", hint="give the FP32 model that it was made from")
        name_nodes(loaded)
        signature = signature_of(loaded)
        kept = matching(loaded, keep, f"'triton-convert inspect {model} --nodes' lists them all")
        calibrated = None
        if data:
            given = CheckedDataset(dataset(data, signature=signature), signature)
            calibrated = Calibrated(given, Calibration(method=method, percentile=percentile, operators=operators))
        told.stage("calibrating" if data else "converting")
        save(TypedFromOnnx(loaded, precision, kept, keep_io, calibrated, rest, served_by)(), output)
        told.done(f"{model.stat().st_size / 1e6:.1f} MB -> {output.stat().st_size / 1e6:.1f} MB: {output}")

"""`triton-convert onnx`: any model to ONNX."""

from __future__ import annotations

from pathlib import Path

import click

from converters.commands import options
from converters.commands.step import step


@click.command(name="onnx", short_help="Convert any model to ONNX.")
@click.argument("source")
@options.output_option("ONNX file.")
@click.option("--opset", type=click.IntRange(min=13), help="Default: the newest that all steps read.")
@click.option("--dynamic", multiple=True, metavar="INPUT:AXIS=NAME", help="A dynamic dimension beside the batch.")
@click.option("--fixed", multiple=True, metavar="INPUT:AXIS=SIZE", help="A dynamic dimension that becomes constant.")
@click.option("--name-output", "names", multiple=True, metavar="NAME", help="In order, where outputs have no names.")
@click.option("--signature", default="serving_default", show_default=True, help="Of a SavedModel.")
@click.option("--tensor-operators", "lower", is_flag=True, help="Write trees and the like out, for TensorRT.")
@options.data_option(help_text="A batch to trace with, for PyTorch modules")
def command(  # noqa: PLR0913, PLR0917 - one option each
    source: str,
    output: Path,
    opset: int | None,
    dynamic: tuple[str, ...],
    fixed: tuple[str, ...],
    names: tuple[str, ...],
    signature: str,
    lower: bool,
    data: str | None,
) -> None:
    """Convert SOURCE to ONNX: a model's file or folder, a model of a repository, or file.py:function."""
    from converters.commands.signatures import show  # noqa: PLC0415 - `--help` need not wait for frameworks
    from converters.data.open import dataset  # noqa: PLC0415
    from converters.graph.dimensions import FixedFromOnnx  # noqa: PLC0415
    from converters.graph.files import save  # noqa: PLC0415
    from converters.graph.opset import opset_of  # noqa: PLC0415
    from converters.graph.signature import signature_of  # noqa: PLC0415
    from converters.originals.base import ExportOptions  # noqa: PLC0415
    from converters.originals.recognise import original  # noqa: PLC0415
    from converters.originals.taken import check_taken  # noqa: PLC0415
    from converters.to_onnx.lowering.tensor_operators import TensorOperatorsFromOnnx  # noqa: PLC0415

    named, sizes = options.dynamic(dynamic), options.fixed(fixed)
    with step(Path(source).name, "to ONNX") as told:
        found = original(source)
        check_taken(found.kind, ExportOptions(dynamic=named, outputs=names, signature=signature))
        sample = next(iter(dataset(data)), None) if data else None
        told.stage(f"reading {found.kind}")
        asked = ExportOptions(opset=opset, sample=sample, dynamic=named, outputs=names, signature=signature)
        model = found.to_onnx(asked)
        if sizes:
            model = FixedFromOnnx(model, sizes)()
        if lower:
            model = TensorOperatorsFromOnnx(model)()
        save(model, output)
        told.done(f"{found.kind}, opset {opset_of(model)}, {output.stat().st_size / 1e6:.1f} MB: {output}")
    show(signature_of(model))

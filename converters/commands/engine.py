"""`triton-convert engine`: typed ONNX to a TensorRT engine."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

import converters
from converters.commands import options
from converters.commands.step import step

if TYPE_CHECKING:  # they bring libraries that `--help` need not wait for
    import onnx

    from converters.engines.base import BuildOptions, Plan
    from converters.engines.record import EngineRecord


@click.command(name="engine", short_help="Build a TensorRT engine from ONNX.")
@click.argument("model", type=options.FILE)
@options.output_option("Plan file.")
@click.option("--builder", type=click.Choice(["tensorrt", "tensorrt_rtx"]), default="tensorrt_rtx", show_default=True)
@click.option("--sm", "targets", type=int, multiple=True, help="Compute capability, as 89; default: this GPU's.")
@click.option("--batch", default="1,8,32", show_default=True, metavar="MIN,OPT,MAX", help="Batch sizes.")
@click.option("--shape", "shapes", multiple=True, metavar="INPUT:AXIS=MIN,OPT,MAX", help="A dynamic dimension.")
@click.option("--workspace-mib", type=click.IntRange(min=1), help="Most device memory that a layer may use.")
@click.option("--optimization-level", type=click.IntRange(0, 5), help="0 builds fast, 5 makes fast engines.")
@click.option("--timing-cache", type=click.Path(dir_okay=False, path_type=Path), help="File to read and extend.")
@click.option("--version-compatible", is_flag=True, help="Runs on later TensorRT versions too.")
@click.option(
    "--hardware-compatible", type=click.Choice(["none", "ampere_plus", "same_compute_capability"]), default="none",
    show_default=True, help="Runs on other GPUs too.",
)  # fmt: skip
@click.option("--strip-weights", is_flag=True, help="Leave the weights out; they are refitted from the ONNX.")
@click.option("--tf32/--no-tf32", default=True, show_default=True, help="FP32 layers may use TF32.")
def command(  # noqa: PLR0913, PLR0917 - one option each
    model: Path,
    output: Path,
    builder: str,
    targets: tuple[int, ...],
    batch: str,
    shapes: tuple[str, ...],
    workspace_mib: int | None,
    optimization_level: int | None,
    timing_cache: Path | None,
    version_compatible: bool,
    hardware_compatible: Literal["none", "ampere_plus", "same_compute_capability"],
    strip_weights: bool,
    tf32: bool,
) -> None:
    """Build an engine from MODEL, ONNX in any precision; engine.json beside it says what it is."""
    from converters.engines.base import BuildOptions  # noqa: PLC0415 - `--help` need not wait for libraries
    from converters.engines.builders import builder as builder_named  # noqa: PLC0415
    from converters.engines.from_onnx import EngineFromOnnx  # noqa: PLC0415
    from converters.engines.profiles import Batch, profiles  # noqa: PLC0415
    from converters.engines.record import put  # noqa: PLC0415
    from converters.graph.files import load, write  # noqa: PLC0415
    from converters.graph.signature import signature_of  # noqa: PLC0415

    sizes, batches = options.sizes(shapes), Batch(*options.three("--batch", batch, batch))
    with step(model.name, f"engine {builder}") as told:
        loaded = _lowered(load(model))
        wanted = BuildOptions(
            profiles=profiles(signature_of(loaded), batches, sizes),
            compute_capabilities=targets,
            workspace_mib=workspace_mib,
            optimization_level=optimization_level,
            timing_cache=timing_cache,
            version_compatible=version_compatible,
            hardware_compatible=hardware_compatible,
            strip_weights=strip_weights,
            tf32=tf32,
        )
        plan = EngineFromOnnx(loaded, builder_named(builder), wanted, told)()
        output.parent.mkdir(parents=True, exist_ok=True)
        write(plan.data, output)
        put(output.parent, _record(plan, output, model, loaded, wanted))
        names = ", ".join(f"sm_{each}" for each in plan.compute_capabilities)
        told.done(f"{builder} {plan.version}, {names}, {len(plan.data) / 1e6:.1f} MB in {plan.seconds:.1f} s: {output}")
    for warning in plan.warnings:
        click.echo(f"warning: {warning}", err=True)


def _lowered(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without what TensorRT has no operators for."""
    from converters.to_onnx.lowering.tensor_operators import (  # noqa: PLC0415 - as above
        TensorOperatorsFromOnnx,
        has_classical_operators,
    )

    return TensorOperatorsFromOnnx(model)() if has_classical_operators(model) else model


def _record(plan: Plan, output: Path, source: Path, model: onnx.ModelProto, options: BuildOptions) -> EngineRecord:
    """What `engine.json` says of a plan that no gate has judged."""
    from converters.engines.record import (  # noqa: PLC0415 - as above
        EngineRecord,
        Lineage,
        plain_options,
        plain_profiles,
    )
    from converters.graph.files import digest_of_file  # noqa: PLC0415
    from converters.graph.opset import opset_of  # noqa: PLC0415
    from converters.precision.types import precision_of  # noqa: PLC0415

    sha256 = digest_of_file(source)
    return EngineRecord(
        file=output.name,
        sha256=hashlib.sha256(plan.data).hexdigest(),
        size_bytes=len(plan.data),
        format="plan",
        builder=plan.builder,
        builder_version=plan.version,
        precision=precision_of(model),
        source=Lineage(source.name, None, "onnx", sha256, opset_of(model)),
        onnx_sha256=sha256,
        built_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=plan.seconds,
        converters_version=converters.VERSION,
        compute_capabilities=plan.compute_capabilities,
        profiles=plain_profiles(plan.profiles),
        options=plain_options(options),
    )

"""`triton-convert inspect`: what a file is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from converters.placed import placed


@click.command(name="inspect", short_help="Show what a model or an engine is.")
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@click.option("--nodes", is_flag=True, help="List an ONNX model's nodes.")
def command(file: Path, nodes: bool) -> None:
    """Show what FILE is: an ONNX model's inputs, outputs and operators, what an engine was built by and for, ..."""
    from converters.engines.validity import is_engine  # noqa: PLC0415 - `--help` need not wait for libraries

    with placed(file.name, "inspect"):
        if is_engine(file):
            _engine(file)
        elif file.suffix == ".onnx":
            _onnx(file, nodes)
        else:
            _original(file)


def _engine(file: Path) -> None:
    from converters.engines.record import read  # noqa: PLC0415 - only for engines
    from converters.engines.validity import check, inspect  # noqa: PLC0415

    data = file.read_bytes()
    header = inspect(data)
    check(data, builder=header.builder, version=header.version)
    names = ", ".join(f"sm_{each}" for each in header.compute_capabilities) or "a GPU that it does not name"
    later = " and later" if header.later else ""
    click.echo(f"engine of {header.builder} {header.version} for {names}{later}, {len(data) / 1e6:.1f} MB")
    record = next((each for each in read(file.parent) if each.file == file.name), None)
    if record is None:
        click.echo("  there is no engine.json beside it that says where it comes from")
        return
    source = record.source
    version = f" version {source.version}" if source.version else ""
    click.echo(f"  made from {source.name}{version} ({source.kind}, sha256 {source.sha256[:12]}), {record.precision}")
    gates = {"engine": "passed by the engine itself", "onnx": "passed by its ONNX; the engine itself was not run"}
    click.echo(f"  built {record.built_at}; gate: {gates.get(record.gate.get('ran', ''), 'none')}")
    for number, profile in enumerate(record.profiles):
        for name, shapes in profile.items():
            click.echo(f"  profile {number}: {name} {shapes['min']} to {shapes['max']}, tuned for {shapes['opt']}")


def _onnx(file: Path, nodes: bool) -> None:
    from converters.commands.signatures import show  # noqa: PLC0415 - only for ONNX
    from converters.graph.files import load  # noqa: PLC0415
    from converters.graph.names import label, name_nodes  # noqa: PLC0415
    from converters.graph.opset import opset_of  # noqa: PLC0415
    from converters.graph.signature import signature_of  # noqa: PLC0415
    from converters.precision.types import precision_of  # noqa: PLC0415

    model = load(file)
    size = f"{len(model.graph.node)} nodes, {file.stat().st_size / 1e6:.1f} MB"
    click.echo(f"ONNX, opset {opset_of(model)}, {precision_of(model)}, {size}")
    show(signature_of(model))
    if nodes:
        name_nodes(model)
        for node in model.graph.node:
            click.echo(label(node))
    else:
        counts = Counter(node.op_type for node in model.graph.node)
        click.echo("  " + ", ".join(f"{operator} {count}" for operator, count in counts.most_common()))


def _original(file: Path) -> None:
    from converters.originals.recognise import original  # noqa: PLC0415 - only for other models

    found = original(file)
    version = f" version {found.version}" if found.version else ""
    click.echo(f"{found.kind} {found.name}{version}, sha256 {found.digest[:12]}: {found.path}")

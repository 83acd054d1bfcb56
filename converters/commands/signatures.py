"""What a command knows of its models' inputs before it runs them, and how it tells them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from converters.graph.files import load
from converters.graph.signature import Signature, signature_of


def known_signature(models: Iterable[str | Path]) -> Signature | None:
    """The signature of the first that is an ONNX file; None where none is, since only conversion would tell it."""
    files = (Path(model) for model in models)
    found = next((file for file in files if file.suffix == ".onnx" and file.is_file()), None)
    return signature_of(load(found)) if found else None


def show(signature: Signature) -> None:
    """One line for each input and output."""
    for title, tensors in (("input", signature.inputs), ("output", signature.outputs)):
        for tensor in tensors:
            click.echo(f"  {title} {tensor}")

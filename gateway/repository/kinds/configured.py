"""What a hand-written `config.pbtxt` says about a model's inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gateway.core.errors import ModelRefused
from gateway.repository import datatypes
from gateway.repository.description import ANY, Tensor
from gateway.repository.handwritten import parse

FILENAME = "config.pbtxt"


def read_config(folder: Path) -> Any:
    """The folder's configuration as Triton's message `ModelConfig`; None if it has none.

    Raises:
        ModelRefused: Triton could not read it either; says the line.
    """
    try:
        return parse((folder / FILENAME).read_text("utf-8"))
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise ModelRefused(f"{FILENAME} is not text in UTF-8; save it as such") from None


def signature(config: Any) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]] | None:
    """All inputs and all outputs of a configuration; None if it leaves one of them, or a part of one, to the model."""
    batches = config.max_batch_size > 0
    inputs, outputs = (tensors(side, batches=batches) for side in (config.input, config.output))
    if not inputs or not outputs or len(inputs) < len(config.input) or len(outputs) < len(config.output):
        return None
    return inputs, outputs


def tensors(entries: Iterable[Any], *, batches: bool) -> tuple[Tensor, ...]:
    """The inputs or outputs of a configuration; an entry that is not complete is left out.

    Args:
        entries: messages `ModelInput` or `ModelOutput`.
        batches: whether `max_batch_size` is above 0, and so `dims` are without the batch.
    """
    batch = (ANY,) if batches else ()
    return tuple(
        Tensor(
            entry.name,
            datatype,
            (*batch, *entry.dims),
            optional=getattr(entry, "optional", False),
            labels=getattr(entry, "label_filename", ""),
        )
        for entry in entries
        if entry.name and entry.dims and (datatype := datatype_of(entry))
    )


def datatype_of(entry: Any) -> str:
    """The protocol's name of an entry's datatype; empty if it does not say."""
    name = type(entry).DESCRIPTOR.fields_by_name["data_type"].enum_type.values_by_number[entry.data_type].name
    return "" if name == "TYPE_INVALID" else datatypes.normalise(name)


def refuse_missing_labels(folder: Path, outputs: Iterable[Any]) -> None:
    """Refuse label files that a configuration names and that are not there, which Triton would not load.

    Raises:
        ModelRefused: the first of them.
    """
    for output in outputs:
        if output.label_filename and not (folder / output.label_filename).is_file():
            raise ModelRefused(
                f"{FILENAME} names the label file '{output.label_filename}' for output '{output.name}', which is not "
                f"in the folder; put it beside {FILENAME}, with one label a line, or take label_filename out"
            )

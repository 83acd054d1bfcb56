"""The kinds of data, and how configurations and command lines name them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from converters.data import generator, npz, synthetic
from converters.data.base import Dataset
from converters.data.folder import FolderDataset
from converters.data.recorded import RecordedDataset, is_log
from converters.errors import ConfigError
from converters.graph.signature import Signature
from converters.nearest import nearest


@dataclass(frozen=True, slots=True)
class DataSpec:
    """Where data comes from.

    Attributes:
        kind: one of `KINDS`.
        source: a path, a function's reference, or for "synthetic" the number of batches.
        batch_size: samples a batch, where the data is not in batches already; None is the kind's own.
        batches: so many at most.
        model: for "recorded": only requests for this model.
    """

    kind: str
    source: str
    batch_size: int | None = None
    batches: int | None = None
    model: str = ""


def dataset(spec: DataSpec | str, *, base: Path = Path(), signature: Signature | None = None) -> Dataset:
    """Open data. Nothing is read before it is used; check it against the model by `CheckedDataset`.

    Args:
        spec: as values, or as `parsed` takes it.
        base: the folder that relative paths count from.
        signature: of the model, as far as it is known: "synthetic" needs it; others take from it the batch that the
            model is fixed to, and the name of its only input.

    Raises:
        ConfigError: there is no such kind, or what it needs is missing.
    """
    wanted = parsed(spec, base) if isinstance(spec, str) else spec
    if wanted.kind not in KINDS:
        raise ConfigError(f"there is no data of kind '{wanted.kind}'", hint=nearest(wanted.kind, KINDS))
    return KINDS[wanted.kind](wanted, base, signature)


def parsed(text: str, base: Path = Path()) -> DataSpec:
    """Data as one word names it: `kind:source`, or a source alone whose form tells its kind.

    `calibration.npz`, `folder/`, `recorded/` (with requests inside), `file.py:function`, `module:function`,
    `synthetic:8`.

    Raises:
        ConfigError: the form tells no kind.
    """
    kind, separator, source = text.partition(":")
    if separator and kind in KINDS:
        return DataSpec(kind, source)
    path = base / text
    if text.endswith(".npz"):
        return DataSpec("npz", text)
    if path.is_dir():
        return DataSpec("recorded" if is_log(path) else "folder", text)
    if separator and source.isidentifier():
        return DataSpec("generator", text)
    raise ConfigError(
        f"'{text}' is no data: there is no such folder, and it is neither a .npz file nor a function",
        hint=f"correct the path, or say its kind before it, as in 'npz:{text}'; kinds are {', '.join(KINDS)}",
    )


_Opener: TypeAlias = Callable[[DataSpec, Path, Signature | None], Dataset]


def _npz(spec: DataSpec, base: Path, signature: Signature | None) -> Dataset:
    return npz.NpzDataset(base / spec.source, batch_size=spec.batch_size or _fixed_batch(signature) or npz.BATCH)


def _folder(spec: DataSpec, base: Path, signature: Signature | None) -> Dataset:
    only = signature.inputs[0].name if signature and len(signature.inputs) == 1 else ""
    return FolderDataset(base / spec.source, batch_size=spec.batch_size, input_name=only)


def _generator(spec: DataSpec, base: Path, _signature: Signature | None) -> Dataset:
    return generator.GeneratorDataset(spec.source, base=base, batches=spec.batches)


def _recorded(spec: DataSpec, base: Path, _signature: Signature | None) -> Dataset:
    return RecordedDataset(base / spec.source, model=spec.model)


def _synthetic(spec: DataSpec, _base: Path, signature: Signature | None) -> Dataset:
    if signature is None:
        raise ConfigError("random data needs the model's inputs first", hint="give real data to export this model")
    if not spec.source.isdecimal():
        raise ConfigError(f"'{spec.source}' is no number of batches", hint="write it as 'synthetic:8'")
    return synthetic.SyntheticDataset(signature, batches=int(spec.source), batch_size=spec.batch_size or 1)


def _fixed_batch(signature: Signature | None) -> int | None:
    """The first dimension, if all inputs have the same fixed one."""
    sizes = {tensor.shape[0] if tensor.shape else "" for tensor in signature.inputs} if signature else set()
    size = sizes.pop() if len(sizes) == 1 else None
    return size if isinstance(size, int) else None


KINDS: Mapping[str, _Opener] = {
    "npz": _npz,
    "folder": _folder,
    "generator": _generator,
    "recorded": _recorded,
    "synthetic": _synthetic,
}

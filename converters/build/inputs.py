"""What the configuration names outside of itself: data, sources and functions, as paths relative to its folder."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from converters.build.config import DataSection
from converters.data.base import Dataset
from converters.data.open import DataSpec, dataset
from converters.graph.files import digest_of_path
from converters.graph.signature import Signature


def dataset_of(section: DataSection, base: Path, signature: Signature | None) -> Dataset:
    """The data that a section names; nothing is read yet, and nothing checked against the model."""
    kind = section.kind
    spec = DataSpec(kind, str(getattr(section, kind)), section.batch_size, section.batches, section.model)
    return dataset(spec, base=base, signature=signature)


def reference_of(source: str, base: Path) -> str:
    """A model's source with its path made absolute; `module:function` stays as it is."""
    path, separator, function = source.rpartition(":")
    if separator and path.endswith(".py"):
        return f"{base / path}:{function}"
    if separator and not (base / source).exists():
        return source
    return str(base / Path(source).expanduser())


def reference_digest(reference: str, base: Path) -> str:
    """SHA-256 over the file of a user's function: what it gives may change with it. Empty if the file is not found."""
    target = reference.rpartition(":")[0]
    if target.endswith(".py"):
        file = base / target
    else:
        spec = importlib.util.find_spec(target)
        file = Path(spec.origin) if spec and spec.origin else Path()
    return digest_of_path(file) if file.is_file() else ""

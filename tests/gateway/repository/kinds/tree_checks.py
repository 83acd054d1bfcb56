"""Takes a file through a kind as the sandbox does, and asks it for its reference."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gateway.repository.description import Description, Hints
from gateway.repository.kinds.base import Kind, Target
from tests.backends.fil.tree_models import Array

if TYPE_CHECKING:
    from collections.abc import Mapping


def prepared(kind: Kind, source: Path, hints: Hints | None = None) -> tuple[Description, Path]:
    """The description, and the folder of the one version, in a new folder beside the source."""
    assert kind.recognise(source)
    assert kind.companions(source) == ()
    model = source.parent / f"{source.name}-model"
    target = Target(model, model / "1")
    target.version.mkdir(parents=True)
    description = kind.prepare(source, target, hints or Hints())
    assert (target.version / description.filename).stat().st_size == description.size_bytes
    return description, target.version


def reference(kind: Kind, source: Path, rows: Array, hints: Hints | None = None) -> tuple[Description, Array]:
    """The description, and the reference's answer for the rows; the answer has the described shape and datatype."""
    description, version = prepared(kind, source, hints)
    answers: Mapping[str, Array] = kind.reference(version, description, {"input__0": rows})
    (output,) = description.outputs
    answer = answers[output.name]
    assert answer.dtype == "float32"
    assert answer.shape == (len(rows), *output.shape[1:])
    return description, answer

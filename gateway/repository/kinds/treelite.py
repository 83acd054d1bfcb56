"""Checkpoints of Treelite: forests of any framework, served as they are."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.repository.description import Description, Hints
from gateway.repository.kinds.base import Target
from gateway.repository.kinds.trees import INPUT, OUTPUT, Answer, Forest, answer_of, describe, open_forest

if TYPE_CHECKING:
    from gateway.repository.kinds.base import Array

FILENAME = "checkpoint.tl"


class TreeliteKind:
    """A checkpoint of Treelite, served by the backend `fil`."""

    name = "treelite"
    title = "Treelite checkpoint (.tl)"

    def recognise(self, source: Path) -> bool:
        """By the ending."""
        return source.suffix.lower() == ".tl" and source.is_file()

    def companions(self, source: Path) -> tuple[Path, ...]:
        """None: the model is one file."""
        del source
        return ()

    def prepare(self, source: Path, target: Target, hints: Hints) -> Description:
        """The model as `checkpoint.tl`.

        Raises:
            ModelRefused: it is damaged, or of another version of Treelite.
        """
        del hints
        path = target.version / FILENAME
        shutil.copyfile(source, path)
        forest = open_checkpoint(path, source.name)
        answer = Answer.PROBABILITIES if forest.classifies and forest.targets == 1 else Answer.SCORES
        version = ".".join(str(int(part[0])) for part in _version(forest))
        origin = {"format": "Treelite checkpoint", "producer": f"treelite {version}"}
        return describe(self.name, path, forest, answer, model_type="treelite_checkpoint", origin=origin)

    def reference(self, version: Path, description: Description, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """What Treelite gives: a checkpoint does not tell which framework made it."""
        forest = open_checkpoint(version / description.filename, description.filename)
        return {OUTPUT: forest.predict(inputs[INPUT], answer_of(description))}


def open_checkpoint(path: Path, name: str) -> Forest:
    """The forest in a checkpoint.

    Raises:
        ModelRefused: it cannot be read.
    """
    import treelite  # noqa: PLC0415 - the kinds cost nothing outside of the sandbox

    return open_forest(functools.partial(treelite.Model.deserialize, path), name, "checkpoint")


def _version(forest: Forest) -> tuple[Array, ...]:
    header = forest.model.get_header_accessor()
    return tuple(header.get_field(f"{part}_ver") for part in ("major", "minor", "patch"))

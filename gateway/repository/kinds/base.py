"""What a kind of model is to the rest: it recognises its files, makes them servable, and runs them its own way.

`recognise` is asked in the gateway's own process and reads file names and a few first bytes. All the rest runs inside
the sandbox (`gateway/repository/sandboxed.py`), where the framework may be imported; imports of frameworks stand inside
of functions, so that this package costs nothing elsewhere. Everything raises `ModelRefused` with a reason that a data
scientist understands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gateway.repository.description import Description, Hints

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a kind puts what is to be served; both folders exist and are empty.

    Attributes:
        model: the model's folder, for label files and a hand-written `config.pbtxt`.
        version: the version's folder inside of it, for the model file and what it needs.
    """

    model: Path
    version: Path


class Kind(Protocol):
    """One kind of model."""

    @property
    def name(self) -> str:
        """Such as "onnx"; what `Description.kind` says."""

    @property
    def title(self) -> str:
        """What a person calls it, such as "TensorFlow SavedModel"."""

    def recognise(self, source: Path) -> bool:
        """Whether this file or folder is of this kind; by names and first bytes, never raises."""

    def companions(self, source: Path) -> tuple[Path, ...]:
        """Files beside a dropped file that belong to it, such as external data; those that are there."""

    def prepare(self, source: Path, target: Target, hints: Hints) -> Description:
        """Put what is served into the target, converting it where need be, and say what it is."""

    def reference(self, version: Path, description: Description, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """The outputs that the framework itself gives for `inputs`, by the names that the description has.

        Not by way of the backend that serves the model: the two are compared. A kind without a framework to compare
        with returns an empty mapping.
        """


class Wrapper(Protocol):
    """An archive or folder with a model of another kind inside, such as an MLflow model."""

    @property
    def name(self) -> str:
        """Such as "mlflow"."""

    @property
    def title(self) -> str:
        """What a person calls it."""

    def recognise(self, source: Path) -> bool:
        """As of a kind."""

    def unwrap(self, source: Path, scratch: Path, hints: Hints) -> Unwrapped:
        """Find the model inside; `scratch` is an empty folder for what has to be unpacked."""


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """What was inside.

    Attributes:
        source: the model's own file or folder.
        hints: those that were given, completed by what the wrapper says.
        origin: goes to `Description.origin`.
        ambiguous: goes to `Description.ambiguous`.
    """

    source: Path
    hints: Hints
    origin: Mapping[str, str]
    ambiguous: tuple[str, ...] = ()

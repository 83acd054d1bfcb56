"""What a model is: its inputs and outputs, and everything that its configuration is made of.

Made by the kinds (`gateway/repository/kinds/`) inside the sandbox, and carried as JSON from there to the model's record
and to the catalog.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ANY = -1
"""A dimension of any size."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input or output.

    Attributes:
        name: as requests give it.
        datatype: the protocol's name: FP32, INT64, BYTES, ...
        shape: every dimension, with the batch in front where the model batches; -1 is any size.
        optional: whether requests may leave it out.
        labels: the name of the label file of an output, relative to the model's folder; empty if it has none.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    optional: bool = False
    labels: str = ""


@dataclass(frozen=True, slots=True)
class Description:
    """One version of a model.

    Attributes:
        kind: the `name` of the kind that recognised it, such as "onnx".
        backend: Triton's name of the backend that serves it.
        framework: what the backend needs installed; None if it needs nothing.
        inputs, outputs: in the model's own order.
        batches: whether the first dimension of every tensor is a batch of any size.
        filename: the model file in the version folder, such as "model.onnx".
        size_bytes: of all files that are served.
        opset: the operator sets, such as "ai.onnx 17"; empty where there is no such thing.
        parameters: what the backend's configuration must say, by key.
        ambiguous: what the model does not tell and was taken as likely, each with how to say it.
        origin: where it came from: `format`, `producer`, `handler`, `run_id`, ...
    """

    kind: str
    backend: str
    framework: str | None
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    batches: bool
    filename: str
    size_bytes: int = 0
    opset: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    ambiguous: tuple[str, ...] = ()
    origin: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain values that `json.dumps` takes."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Description:
        """The reverse of `as_dict`, also after a way through JSON."""
        tensors = {side: tuple(_tensor(each) for each in values[side]) for side in ("inputs", "outputs")}
        return cls(**{**values, **tensors, "ambiguous": tuple(values["ambiguous"])})


def _tensor(values: Mapping[str, Any]) -> Tensor:
    return Tensor(**{**values, "shape": tuple(values["shape"])})


@dataclass(frozen=True, slots=True)
class Hints:
    """What a person says about a model that the model's file does not say itself (`hints.py` reads it).

    Attributes:
        inputs, outputs: complete tensors, or tensors whose names and shapes correct what the file says.
        sample: a `.npz` with one array for each input.
        batches: whether the first dimension is a batch; None where nobody said.
        max_batch_size: the largest batch; None for the default.
        labels: for an output's name, the text of each class in order.
        tolerance: how far an answer may be from the framework's own, relative and absolute.
        deterministic: whether the same input must give the same answer.
    """

    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    sample: Path | None = None
    batches: bool | None = None
    max_batch_size: int | None = None
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tolerance: float = 1e-4
    deterministic: bool = True


@dataclass(frozen=True, slots=True)
class Check:
    """One step of a validation: what was checked, what was found, and how many seconds it took."""

    name: str
    detail: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A model that is ready to be published.

    Attributes:
        folder: the whole model folder: `config.pbtxt`, label files, and the files of the one version in `1/`.
        description: what it is.
        checks: what was validated, in order; empty where validation was not asked for.
        sample: the inputs of the validation as the protocol's JSON `inputs`, for warm-up and for examples.
    """

    folder: Path
    description: Description
    checks: tuple[Check, ...] = ()
    sample: tuple[Mapping[str, Any], ...] = ()

"""What the sandbox is asked and what it answers, as JSON on its standard input and output.

One request comes in. Lines go out: `{"progress": ...}` as often as there is something to tell, and in the end one
`{"prepared": ...}` or `{"refused": ...}`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gateway.repository.confine import Limits
from gateway.repository.description import Check, Description, Hints, Prepared, Tensor
from gateway.repository.hardware import Hardware

MODEL_FOLDER = "model"
"""The model folder that is made, in the scratch folder."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be done with one dropped file or folder.

    Attributes:
        source: the file or folder.
        name: what the model is to be called.
        scratch: a folder of its own, which it may write to.
        readable: what belongs to the source and lies beside it.
        hints: what was said about the model elsewhere than in its sidecars; wins over them.
        limits: what may be used.
        hardware: what the model will run on.
        existing: the `config.pbtxt` that the model has so far; None if it has none.
        step: how far to go: "inspect", "prepare" or "validate".
    """

    source: Path
    name: str
    scratch: Path
    readable: tuple[Path, ...]
    hints: Hints
    limits: Limits
    hardware: Hardware
    existing: str | None
    step: str

    def as_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, line: str) -> Request:
        """The reverse of `as_json`."""
        values = json.loads(line)
        read = {
            "source": Path(values["source"]),
            "scratch": Path(values["scratch"]),
            "readable": tuple(map(Path, values["readable"])),
            "hints": _hints(values["hints"]),
            "limits": Limits(**values["limits"]),
            "hardware": Hardware(**values["hardware"]),
        }
        return cls(**{**values, **read})


def _hints(values: Mapping[str, Any]) -> Hints:
    tensors = {
        side: tuple(Tensor(**{**each, "shape": tuple(each["shape"])}) for each in values[side])
        for side in ("inputs", "outputs")
    }
    labels = {output: tuple(names) for output, names in values["labels"].items()}
    sample = None if values["sample"] is None else Path(values["sample"])
    return Hints(**{**values, **tensors, "labels": labels, "sample": sample})


def prepared_as_dict(prepared: Prepared) -> dict[str, Any]:
    """Plain values; without the folder, which both sides know."""
    return {
        "description": prepared.description.as_dict(),
        "checks": [asdict(check) for check in prepared.checks],
        "sample": list(prepared.sample),
    }


def prepared_from_dict(values: Mapping[str, Any], folder: Path) -> Prepared:
    """The reverse of `prepared_as_dict`.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: the values are not what the sandbox writes.
    """
    return Prepared(
        folder=folder,
        description=Description.from_dict(values["description"]),
        checks=tuple(Check(**check) for check in values["checks"]),
        sample=tuple(values["sample"]),
    )

"""The part of Triton's Python API that the adapter uses, as protocols.

The real thing is the module `triton_python_backend_utils`, which exists only inside the process that Triton starts for
a model; `fake.py` is its double for tests. Source: the README of Triton's `python_backend`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from backends.common.bfloat16 import DLPackSource
from backends.common.datatypes import Array


class Tensor(DLPackSource, Protocol):
    """A named tensor of a request or a response."""

    def name(self) -> str:
        """The tensor's name."""

    def as_numpy(self) -> Array:
        """The tensor as an array that shares its memory; raises for BF16."""


class InferenceRequest(Protocol):
    """One request of a dynamic batch."""

    def inputs(self) -> Sequence[Tensor]:
        """The inputs that were sent, with those that the sequence batcher adds."""

    def requested_output_names(self) -> Sequence[str]:
        """The outputs that the client asked for; all of them when it asked for none."""


class ModelConfig(Protocol):
    """The configuration that auto-complete may fill in."""

    def as_dict(self) -> dict[str, Any]:
        """The configuration itself, in Triton's JSON form; what is written to it reaches Triton."""


class PythonBackend(Protocol):
    """The module `triton_python_backend_utils`."""

    Tensor: Any
    InferenceResponse: Any
    TritonError: Any
    TritonModelException: Any

    def get_model_dir(self) -> str:
        """The folder of the model's version that is being loaded."""

"""A double of Triton's `triton_python_backend_utils`, for tests outside of Triton.

It keeps what the real module does that shapes the adapter: BF16 only by DLPack, a response holds outputs or an error,
and `ModelConfig.as_dict` gives the dictionary itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from backends.common.bfloat16 import bits_from_tensor, capsule_from_bits
from backends.common.datatypes import BF16, Array


class FakeTensor:
    """A named tensor; `datatype` is given only for BF16, whose `array` holds the bits."""

    def __init__(self, name: str, array: Array, datatype: str | None = None) -> None:
        self._name = name
        self._array = array
        self._datatype = datatype

    @staticmethod
    def from_dlpack(name: str, capsule: Any) -> FakeTensor:
        """A BF16 tensor from its capsule, which is all that the adapter sends this way."""
        return FakeTensor(name, bits_from_tensor(_Capsule(capsule)), BF16)

    def name(self) -> str:
        """The tensor's name."""
        return self._name

    def as_numpy(self) -> Array:
        """The array; refused for BF16."""
        if self._datatype == BF16:
            raise FakeModelError("Tensor dtype is BF16 and cannot be converted to NumPy.")
        return self._array

    def bits(self) -> Array:
        """The bits of a BF16 tensor."""
        return self._array

    def to_dlpack(self) -> Any:
        """A capsule of the BF16 tensor."""
        return capsule_from_bits(self._array)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._array.__dlpack_device__()


class _Capsule:
    """A bare capsule on the CPU."""

    def __init__(self, capsule: Any) -> None:
        self._capsule = capsule

    def to_dlpack(self) -> Any:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return np.empty(0).__dlpack_device__()


class FakeRequest:
    """A request with its tensors, and the outputs it asks for (none given: Triton fills in all)."""

    def __init__(self, tensors: Sequence[FakeTensor], outputs: Sequence[str] = ()) -> None:
        self._tensors = tensors
        self._outputs = outputs

    def inputs(self) -> Sequence[FakeTensor]:
        """The inputs that were sent."""
        return self._tensors

    def requested_output_names(self) -> Sequence[str]:
        """The outputs asked for."""
        return self._outputs


class FakeModelError(Exception):
    """Stands for `TritonModelException`."""


class FakeError:
    """Stands for `TritonError`."""

    INTERNAL = "INTERNAL"
    INVALID_ARG = "INVALID_ARG"

    def __init__(self, message: str, code: str = INTERNAL) -> None:
        self.message = message
        self.code = code


class FakeResponse:
    """Stands for `InferenceResponse`."""

    def __init__(self, output_tensors: Sequence[FakeTensor], error: FakeError | None = None) -> None:
        self.outputs = {tensor.name(): tensor for tensor in output_tensors}
        self.error = error


class FakeModelConfig:
    """Stands for `ModelConfig`."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self._raw = raw

    def as_dict(self) -> dict[str, Any]:
        """The dictionary itself."""
        return self._raw


class FakePythonBackend:
    """Stands for the module `triton_python_backend_utils` of a model in `folder`."""

    Tensor = FakeTensor
    InferenceResponse = FakeResponse
    TritonError = FakeError
    TritonModelException = FakeModelError

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get_model_dir(self) -> str:
        """The folder of the model's version."""
        return str(self._folder)

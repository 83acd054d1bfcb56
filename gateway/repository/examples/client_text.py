"""The text of a typed client, with a place for everything that depends on the model."""

from string import Template

MODULE = Template('''\
"""$title

It needs Python 3.11 or later and tritonclient: pip install "tritonclient[all]". Use it as

$example
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Literal, Self

import numpy as np
import numpy.typing as npt

${bfloat}MODEL: Final = $model
"""The model's name."""

_ADDRESSES: Final = {"http": $http, "grpc": $grpc}

# Each input's datatype, numpy's name of it, and its shape, where -1 is any size.
_INPUTS: Final[dict[str, tuple[str, str, tuple[int, ...]]]] = {
$inputs
}

_OUTPUTS: Final[tuple[str, ...]] = (
$outputs
)


@dataclass(frozen=True)
class ${name}Result:
    """What the model answers.

    Attributes:
$attributes
    """

$fields


class $name:
    """A connection to the model; close it after use, or use it in a `with` statement.

    Args:
        address: HOST:PORT of the gateway; the default is where it listened when this module was made.
        protocol: "http" or "grpc". Over HTTP, use a client of its own in each thread.
        version: of the model; empty for the one that the server chooses.
        timeout: how many seconds a call may take.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        protocol: Literal["http", "grpc"] = "http",
        version: str = "",
        timeout: float = 60.0,
    ) -> None:
        self._triton: Any = importlib.import_module(f"tritonclient.{protocol}")
        self._version = version
        times = {"connection_timeout": timeout, "network_timeout": timeout}
        self._client: Any = self._triton.InferenceServerClient(
            address or _ADDRESSES[protocol], **(times if protocol == "http" else {})
        )
        self._options: dict[str, Any] = {} if protocol == "http" else {"client_timeout": timeout}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def is_ready(self) -> bool:
        """Whether the model can be called now."""
        return bool(self._client.is_model_ready(MODEL, self._version))

    def infer(
        self,
        *,
$parameters
    ) -> ${name}Result:
        """Call the model.

        Args:
$arguments

        Raises:
            TypeError: an array has another datatype than the model wants.
            ValueError: an array has another shape than the model wants.
            tritonclient.utils.InferenceServerException: the server refused the call, or cannot be reached.
        """
        arrays = self._call(
            {
$passed
            }
        )
        return ${name}Result(
$taken
        )

    def _call(self, given: dict[str, npt.NDArray[Any] | None]) -> dict[str, npt.NDArray[Any]]:
        tensors = []
        for tensor_name, array in given.items():
            if array is not None:
                checked = _check(tensor_name, array)
                tensor = self._triton.InferInput(tensor_name, list(checked.shape), _INPUTS[tensor_name][0])
                tensor.set_data_from_numpy(checked)
                tensors.append(tensor)
        wanted = [self._triton.InferRequestedOutput(tensor_name) for tensor_name in _OUTPUTS]
        result = self._client.infer(MODEL, tensors, model_version=self._version, outputs=wanted, **self._options)
        return {tensor_name: result.as_numpy(tensor_name) for tensor_name in _OUTPUTS}


def _check(tensor_name: str, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array as it is sent."""
    datatype, dtype, shape = _INPUTS[tensor_name]
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{tensor_name}: a numpy array is wanted, not {type(array).__name__}")
    if datatype == "BYTES" and array.dtype.kind in "SU":
        array = array.astype(np.object_)
    if array.dtype.name.rstrip("_") != dtype:
        raise TypeError(f"{tensor_name}: the array must be {dtype}, not {array.dtype}; see numpy's `astype`")
    if len(array.shape) != len(shape) or any(size not in (-1, found) for size, found in zip(shape, array.shape)):
        sizes = ", ".join("any" if size < 0 else str(size) for size in shape)
        raise ValueError(f"{tensor_name}: the shape must be [{sizes}], not {list(array.shape)}")
    return array
''')

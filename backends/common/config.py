"""A model's configuration as Triton hands it over, parsed and checked for what a backend needs.

Keys and meanings are those of Triton's `config.pbtxt`, so a model folder runs unchanged with the native backends. What
a Python-based backend cannot do is refused here, by the name of the key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backends.common.datatypes import numpy_type
from backends.common.errors import LoadError

_TRUE = frozenset({"true", "on", "yes", "1"})
_FALSE = frozenset({"false", "off", "no", "0"})


class Parameters:
    """The `parameters` section: strings by key, read as what the backend needs."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)

    def text(self, key: str) -> str | None:
        """The value as it stands; `None` when the key is not given."""
        return self._values.get(key)

    def integer(self, key: str, default: int) -> int:
        """The value as a number that is not negative.

        Raises:
            LoadError: it is not one.
        """
        value = self._values.get(key)
        if value is None:
            return default
        if not value.strip().isascii() or not value.strip().isdigit():
            raise LoadError(f"parameter '{key}' must be a number of 0 or more, not '{value}'")
        return int(value)

    def boolean(self, key: str) -> bool | None:
        """The value as a boolean in any of Triton's spellings; `None` when the key is not given.

        Raises:
            LoadError: it is none of them.
        """
        value = self._values.get(key)
        if value is None:
            return None
        lowered = value.strip().lower()
        if lowered in _TRUE or lowered in _FALSE:
            return lowered in _TRUE
        raise LoadError(f"parameter '{key}' must be a boolean such as 'true' or 'false', not '{value}'")

    def starting_with(self, prefix: str) -> dict[str, str]:
        """The values of all keys that start with `prefix`."""
        return {key: value for key, value in self._values.items() if key.startswith(prefix)}


@dataclass(frozen=True, slots=True)
class TensorConfig:
    """One input or output.

    `shape` is what the framework sees, without the batch dimension: `dims`, or the shape that `reshape` gives; -1 is a
    dimension of any size. `control` marks an input that the sequence batcher adds itself.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    optional: bool = False
    control: bool = False


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What a backend reads of `config.pbtxt`."""

    name: str
    max_batch_size: int
    inputs: tuple[TensorConfig, ...]
    outputs: tuple[TensorConfig, ...]
    parameters: Parameters = field(default_factory=lambda: Parameters({}))
    filename: str = ""
    instance_count: int = 1
    optimization: Mapping[str, Any] = field(default_factory=dict)
    operation_libraries: tuple[str, ...] = ()

    @property
    def batched(self) -> bool:
        """Whether every tensor has a batch dimension in front."""
        return self.max_batch_size > 0

    def full_shape(self, tensor: TensorConfig) -> tuple[int, ...]:
        """The tensor's shape as the framework sees it, with the batch dimension if there is one."""
        return (-1, *tensor.shape) if self.batched else tensor.shape


def parse_config(raw: Mapping[str, Any]) -> ModelConfig:
    """The configuration from Triton's JSON form of `config.pbtxt`.

    Raises:
        LoadError: a key asks for what a Python-based backend cannot do.
    """
    _refuse_unsupported(raw)
    inputs = tuple(_tensor(entry, "input") for entry in raw.get("input", []))
    return ModelConfig(
        name=str(raw["name"]),
        max_batch_size=int(raw.get("max_batch_size", 0)),
        inputs=inputs + _control_inputs(raw),
        outputs=tuple(_tensor(entry, "output") for entry in raw.get("output", [])),
        parameters=parse_parameters(raw),
        filename=str(raw.get("default_model_filename", "")),
        instance_count=max(1, sum(int(group.get("count", 1)) for group in raw.get("instance_group", []))),
        optimization=raw.get("optimization", {}),
        operation_libraries=tuple(raw.get("model_operations", {}).get("op_library_filename", [])),
    )


def parse_parameters(raw: Mapping[str, Any]) -> Parameters:
    """The `parameters` section of Triton's JSON form of `config.pbtxt`."""
    return Parameters({key: str(value.get("string_value", "")) for key, value in raw.get("parameters", {}).items()})


def _tensor(entry: Mapping[str, Any], section: str) -> TensorConfig:
    name = str(entry["name"])
    for key, why in (
        ("is_shape_tensor", "shape tensors are a matter of TensorRT"),
        ("is_non_linear_format_io", "such formats are a matter of TensorRT"),
    ):
        if entry.get(key):
            raise LoadError(f"{section} '{name}': '{key}' is not supported: {why}")
    datatype = str(entry.get("data_type", ""))
    numpy_type(datatype)
    dims = entry["reshape"].get("shape", []) if "reshape" in entry else entry.get("dims", [])
    return TensorConfig(name, datatype, tuple(int(dim) for dim in dims), optional=bool(entry.get("optional", False)))


def _control_inputs(raw: Mapping[str, Any]) -> tuple[TensorConfig, ...]:
    """The inputs that the sequence batcher adds to each request: start, end, ready and correlation id."""
    controls: list[TensorConfig] = []
    for entry in raw.get("sequence_batching", {}).get("control_input", []):
        control: Mapping[str, Any] = entry["control"][0]
        by_values = {"int32_false_true": "TYPE_INT32", "fp32_false_true": "TYPE_FP32", "bool_false_true": "TYPE_BOOL"}
        datatype = next((name for key, name in by_values.items() if control.get(key)), None)
        controls.append(TensorConfig(entry["name"], datatype or str(control["data_type"]), (1,), control=True))
    return tuple(controls)


def _refuse_unsupported(raw: Mapping[str, Any]) -> None:
    unsupported: Sequence[tuple[bool, str]] = (
        (
            bool(raw.get("batch_input")),
            "'batch_input' is not supported by a Python-based backend: requests of different shapes run apart",
        ),
        (bool(raw.get("batch_output")), "'batch_output' is not supported by a Python-based backend"),
        (
            bool(raw.get("sequence_batching", {}).get("state")),
            "'sequence_batching.state' (implicit state) is not supported by a Python-based backend: "
            "let the model take and return its state as ordinary tensors",
        ),
        (
            bool(raw.get("model_transaction_policy", {}).get("decoupled")),
            "'model_transaction_policy.decoupled' is not supported: this backend answers each request once",
        ),
    )
    for present, message in unsupported:
        if present:
            raise LoadError(message)

"""A model's real inputs and outputs, held against its configuration: checked, or completed where it says nothing."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backends.common.config import ModelConfig, TensorConfig, parse_config
from backends.common.datatypes import NUMPY_TYPES
from backends.common.errors import LoadError

# What Triton's native backends take when a model can batch and its configuration gives no size.
DEFAULT_MAX_BATCH_SIZE = 4


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output as the model declares it.

    `shape` includes the batch dimension; -1 is a dimension of any size, and `None` a shape that the model does not
    tell. `optional` is an input that the model can do without.
    """

    name: str
    datatype: str
    shape: tuple[int, ...] | None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Signature:
    """All inputs and outputs of a model."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def scalar_inputs(self) -> frozenset[str]:
        """Inputs that have no dimension at all."""
        return frozenset(spec.name for spec in self.inputs if spec.shape == ())

    def check(self, config: ModelConfig) -> None:
        """Hold the configuration against the model.

        Raises:
            LoadError: a tensor is missing, unknown, or of another datatype or shape than in the model.
        """
        for section, configured, specs in (
            ("input", config.inputs, self.inputs),
            ("output", config.outputs, self.outputs),
        ):
            known = {spec.name: spec for spec in specs}
            for tensor in configured:
                if tensor.name not in known:
                    raise LoadError(unknown_tensor(section, tensor.name, list(known)))
                _check_tensor(config, section, tensor, known[tensor.name])
        given = {tensor.name for tensor in config.inputs}
        for spec in self.inputs:
            if spec.name not in given and not spec.optional:
                raise LoadError(f"input '{spec.name}' of the model is missing in config.pbtxt")


def unknown_tensor(section: str, name: str, known: Sequence[str]) -> str:
    """The message for a configured tensor that the model does not have."""
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{nearest[0]}'?" if nearest else f"it has {', '.join(repr(each) for each in known) or 'none'}"
    return f"{section} '{name}' of config.pbtxt is not in the model; {hint}"


def _check_tensor(config: ModelConfig, section: str, tensor: TensorConfig, spec: TensorSpec) -> None:
    where = f"{section} '{tensor.name}'"
    if tensor.datatype != spec.datatype:
        raise LoadError(f"{where}: 'data_type' is {tensor.datatype} in config.pbtxt, but {spec.datatype} in the model")
    if tensor.optional and not spec.optional:
        raise LoadError(f"{where}: 'optional' is true in config.pbtxt, but the model has no default for it")
    if spec.shape is None or tensor.control:
        return
    if config.batched and spec.shape and spec.shape[0] != -1:
        raise LoadError(
            f"{where}: 'max_batch_size' is {config.max_batch_size}, but the model's shape {list(spec.shape)} has no "
            "batch dimension of any size in front; set 'max_batch_size: 0', or export the model with one"
        )
    shape = config.full_shape(tensor)
    if not _fits(shape, spec.shape):
        batch = " (its first dimension is the batch, since 'max_batch_size' is above 0)" if config.batched else ""
        raise LoadError(f"{where}: 'dims' give the shape {list(shape)}{batch}, but the model has {list(spec.shape)}")


def _fits(configured: Sequence[int], real: Sequence[int]) -> bool:
    """Whether each size that the model fixes is the configured one, as Triton's native backends demand."""
    if not real:
        return list(configured) in ([], [1])  # Triton has no scalars without a batch: they are one element to it
    return len(configured) == len(real) and all(
        size in (-1, wanted) for wanted, size in zip(configured, real, strict=True)
    )


def is_complete(raw: Mapping[str, Any]) -> bool:
    """Whether the configuration gives every input and output, so that the model need not be opened to complete it."""
    return all(
        raw.get(section)
        and all(entry.get("data_type", "TYPE_INVALID") != "TYPE_INVALID" for entry in raw[section])
        and all(entry.get("dims") or "reshape" in entry for entry in raw[section])
        for section in ("input", "output")
    )


def complete(raw: Mapping[str, Any], signature: Signature) -> dict[str, Any]:
    """The keys of Triton's JSON form of `config.pbtxt` that the model itself can give; the caller merges them.

    What the configuration says stays. Tensors without a datatype or dims get the model's; a section that is not there
    gets all of the model's tensors. A model whose every tensor has a first dimension of any size can batch: it gets
    `max_batch_size` 4 and dynamic batching unless the configuration says otherwise.

    Raises:
        LoadError: the configuration asks for batching that the model cannot do, or the model does not tell a shape.
    """
    specs = {"input": signature.inputs, "output": signature.outputs}
    shapes = [spec.shape for section in specs.values() for spec in section]
    can_batch = bool(shapes) and all(shape and shape[0] == -1 for shape in shapes)
    wanted = int(raw.get("max_batch_size", 0))
    if wanted and not can_batch:
        raise LoadError(
            f"'max_batch_size' is {wanted}, but not every input and output of the model has a first dimension of any "
            "size; set 'max_batch_size: 0', or export the model with a batch dimension"
        )
    size = (wanted or DEFAULT_MAX_BATCH_SIZE) if can_batch else 0
    if can_batch and not wanted and raw.get("input") and raw.get("output"):
        size = 0  # names were given by hand: their dims mean what they say, without a batch dimension
    completed: dict[str, Any] = {"max_batch_size": size}
    for section, tensors in specs.items():
        completed[section] = _complete_section(raw.get(section, []), section, tensors, batched=size > 0)
    if size > 1 and not {"dynamic_batching", "sequence_batching", "ensemble_scheduling"} & raw.keys():
        completed["dynamic_batching"] = {}
    parse_config({**raw, **completed})
    return completed


def _complete_section(
    given: Sequence[Mapping[str, Any]], section: str, specs: Sequence[TensorSpec], *, batched: bool
) -> list[dict[str, Any]]:
    known = {spec.name: spec for spec in specs}
    entries = [dict(entry) for entry in given] or [{"name": spec.name} for spec in specs if not spec.optional]
    for entry in entries:
        spec = known.get(entry["name"])
        if spec is None:
            raise LoadError(unknown_tensor(section, entry["name"], list(known)))
        if entry.get("data_type", "TYPE_INVALID") == "TYPE_INVALID":
            entry["data_type"] = _carried(section, spec)
        if not entry.get("dims"):
            entry.update(_dims(section, spec, batched=batched))
    return entries


def _carried(section: str, spec: TensorSpec) -> str:
    if spec.datatype not in NUMPY_TYPES:
        raise LoadError(
            f"{section} '{spec.name}' of the model is {spec.datatype}, which Triton cannot carry; "
            f"export the model without it, or list only the other {section}s in config.pbtxt"
        )
    return spec.datatype


def _dims(section: str, spec: TensorSpec, *, batched: bool) -> dict[str, Any]:
    if spec.shape is None:
        raise LoadError(
            f"the model does not tell the shape of {section} '{spec.name}'; give its 'dims' in config.pbtxt"
        )
    dims = list(spec.shape[1:] if batched else spec.shape)
    if dims:
        return {"dims": dims}
    # Triton allows no empty dims, and takes away a dimension only where the batch is left.
    return {"dims": [1], "reshape": {"shape": []}} if batched else {"dims": [1]}

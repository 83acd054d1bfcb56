"""Write a model's `config.pbtxt`: all that was written by hand, and below it what that leaves open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.core.errors import ModelRefused
from gateway.repository import handwritten, pbtxt
from gateway.repository.config_text import quoted, top_level_fields, with_top_level_string
from gateway.repository.description import Description, Hints
from gateway.repository.hardware import Hardware
from gateway.repository.shapes import fits
from gateway.repository.warmup import Warmup

DEFAULT_MAX_BATCH_SIZE = 64
_OF_TABLES = 1024  # these are asked about many rows at once, and each costs next to nothing

# A model has one scheduler, whichever was written by hand.
_SCHEDULERS = frozenset({"dynamic_batching", "ensemble_scheduling", "sequence_batching"})
# Fields that stand for each other, or leave no room for each other.
_INSTEAD: Mapping[str, frozenset[str]] = {
    "backend": frozenset({"platform"}),
    "dynamic_batching": _SCHEDULERS,
    "model_warmup": frozenset({"ensemble_scheduling", "model_transaction_policy", "sequence_batching"}),
    "instance_group": frozenset({"ensemble_scheduling"}),
}


def configure(  # noqa: PLR0913, PLR0917 - each is known by another part of the gateway
    name: str,
    description: Description,
    hints: Hints,
    hardware: Hardware,
    existing: str | None = None,
    warmup: Warmup | None = None,
) -> str:
    """The text of a model's `config.pbtxt`.

    Args:
        name: of the model, which is its folder's.
        description: what the model is.
        hints: what people say about it; here the size of its batches.
        hardware: what it will run on.
        existing: the present `config.pbtxt`; what is hand-written in it stays byte for byte.
        warmup: the request to run at each load, whose files are there already; None for none.

    Raises:
        ModelRefused: the existing configuration cannot be read, or contradicts the model or the hints.
    """
    by_hand, _ = handwritten.split(existing or "")
    given = top_level_fields(by_hand)
    config = handwritten.parse(by_hand)
    handwritten.check(name, by_hand, config, description)
    largest = _max_batch_size(by_hand, config, description, hints)
    sections = _sections(name, description, largest, hardware)
    if warmup is not None and _suits(warmup, config, largest):
        sections["model_warmup"] = pbtxt.model_warmup(warmup, largest)
    missing = [
        text for field, text in sections.items() if field not in given and not given & _INSTEAD.get(field, frozenset())
    ]
    left = {key: value for key, value in description.parameters.items() if key not in config.parameters}
    result = handwritten.join(by_hand, "".join(missing) + pbtxt.parameters(left))
    handwritten.parse(result)
    return result


def rename(text: str, name: str) -> str:
    """The same configuration for a model of another name; nothing else in the text changes."""
    by_hand, generated = handwritten.split(text)
    if "name" in top_level_fields(generated):
        return handwritten.join(by_hand, with_top_level_string(generated, "name", name))
    return handwritten.join(with_top_level_string(by_hand, "name", name), generated)


def _max_batch_size(by_hand: str, config: Any, description: Description, hints: Hints) -> int:
    if "max_batch_size" in top_level_fields(by_hand):
        written = int(config.max_batch_size)
        if hints.max_batch_size not in (None, written):
            raise ModelRefused(
                f"config.pbtxt says max_batch_size {written}, but the hints say {hints.max_batch_size}; keep one"
            )
        return written
    if hints.max_batch_size and not description.batches:
        raise ModelRefused(
            f"max_batch_size is {hints.max_batch_size}, but the model does not batch: not each input and output has a "
            "first dimension of any size; export it with one, or leave max_batch_size out"
        )
    batched = handwritten.is_batched(by_hand, config, description)
    has_dims = any(each.dims for each in (*config.input, *config.output))
    if has_dims and hints.max_batch_size is not None and batched != (hints.max_batch_size > 0):
        raise ModelRefused(
            f"the dims in config.pbtxt {'leave out' if batched else 'have'} the batch in front, but the hints say "
            f"max_batch_size {hints.max_batch_size}; change one of them"
        )
    if not batched:
        return 0
    default = _OF_TABLES if description.backend == "fil" or description.kind == "skops" else DEFAULT_MAX_BATCH_SIZE
    return default if hints.max_batch_size is None else hints.max_batch_size


def _sections(name: str, description: Description, largest: int, hardware: Hardware) -> dict[str, str]:
    """Everything that can be generated, by field, in the order in which people read it."""
    batched = largest > 0
    sections = {"name": f"name: {quoted(name)}\n", "backend": f"backend: {quoted(description.backend)}\n"}
    if description.filename not in ("", pbtxt.default_filename(description.backend)):
        sections["default_model_filename"] = f"default_model_filename: {quoted(description.filename)}\n"
    sections["max_batch_size"] = pbtxt.max_batch_size(largest)
    for section, tensors in (("input", description.inputs), ("output", description.outputs)):
        if tensors:
            sections[section] = pbtxt.tensors(section, tensors, batched=batched)
    if largest > 1:
        sections["dynamic_batching"] = pbtxt.dynamic_batching(largest, hardware)
    sections["instance_group"] = pbtxt.instance_group(description, hardware)
    sections["version_policy"] = pbtxt.version_policy()
    return sections


def _suits(warmup: Warmup, config: Any, largest: int) -> bool:
    """Whether the request is one that the model takes as it is configured by hand."""
    if not warmup.inputs or (largest and not warmup.batch_size):
        return False
    front = (1,) if warmup.batch_size and not largest else ()
    written = {each.name: each.dims for each in config.input}
    return not written or all(
        each.name in written and fits((*front, *each.dims) or (1,), written[each.name]) for each in warmup.inputs
    )

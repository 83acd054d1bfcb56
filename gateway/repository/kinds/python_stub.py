"""Runs a Python model's `auto_complete_config` as Triton does, without Triton.

Source: `ModelConfig` of the Python backend's `triton_python_backend_utils`.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from gateway.core.errors import ModelRefused

_MODULE = "triton_python_backend_utils"
_TENSOR_KEYS = {"input": {"name", "data_type", "dims", "optional"}, "output": {"name", "data_type", "dims"}}


def complete(version: Path, config: Any) -> dict[str, Any]:
    """The configuration in Triton's JSON form, as the model's own code completes it.

    Args:
        version: the version folder, with `model.py`.
        config: the message `ModelConfig` of a hand-written configuration, or None.

    Raises:
        ModelRefused: the code cannot be imported, or fails.
    """
    given = ModelConfig(_as_json(config))
    with _importable(version):
        try:
            model = importlib.import_module(f"{version.name}.model").TritonPythonModel
        except (Exception, SystemExit) as error:
            raise ModelRefused(f"model.py cannot be imported: {_explain(error, version)}") from None
        if not hasattr(model, "auto_complete_config"):
            return given.as_dict()
        try:
            completed = model.auto_complete_config(given)
        except (Exception, SystemExit) as error:
            raise ModelRefused(f"model.py: auto_complete_config fails: {_explain(error, version)}") from None
    if not isinstance(completed, ModelConfig):
        raise ModelRefused("model.py: auto_complete_config must return the configuration that it was given; add that")
    return completed.as_dict()


class ModelConfig:
    """Stands for the `ModelConfig` that Triton gives: the same methods, and the same mistakes are refused."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self._raw = raw

    def as_dict(self) -> dict[str, Any]:
        """The dictionary itself."""
        return self._raw

    def set_max_batch_size(self, max_batch_size: int) -> None:
        """Give the largest batch; it may not be below what was configured."""
        if self._raw["max_batch_size"] > max_batch_size:
            raise ValueError(f"config.pbtxt has max_batch_size {self._raw['max_batch_size']}, above {max_batch_size}")
        self._raw["max_batch_size"] = max_batch_size

    def set_dynamic_batching(self) -> None:
        """Switch dynamic batching on, unless another scheduler was configured."""
        for other in ("sequence_batching", "ensemble_scheduling"):
            if other in self._raw:
                raise ValueError(f"config.pbtxt has {other}, which excludes dynamic batching")
        self._raw.setdefault("dynamic_batching", {})

    def add_input(self, input: dict[str, Any]) -> None:  # noqa: A002 - Triton's own name for it
        """Add an input, or complete the one of that name."""
        self._add("input", input)

    def add_output(self, output: dict[str, Any]) -> None:
        """Add an output, or complete the one of that name."""
        self._add("output", output)

    def set_model_transaction_policy(self, transaction_policy_dict: Mapping[str, bool]) -> None:
        """Say whether one request may get any number of answers."""
        wrong = transaction_policy_dict.keys() - {"decoupled"}
        if wrong:
            raise ValueError(f"a transaction policy has no {sorted(wrong)}, only 'decoupled'")
        self._raw.setdefault("model_transaction_policy", {}).update(transaction_policy_dict)

    def _add(self, side: str, tensor: dict[str, Any]) -> None:
        for key in ("name", "data_type", "dims"):
            if key not in tensor:
                raise ValueError(f"{side} {tensor.get('name', '')!r} lacks {key!r}")
        wrong = tensor.keys() - _TENSOR_KEYS[side]
        if wrong:
            raise ValueError(f"{side} {tensor['name']!r} must not have {sorted(wrong)}")
        known = next((each for each in self._raw[side] if each["name"] == tensor["name"]), None)
        if known is None:
            self._raw[side].append(tensor)
            return
        for key in ("data_type", "dims"):
            if known.get(key) not in (None, [], "TYPE_INVALID", tensor[key]):
                raise ValueError(f"{side} {tensor['name']!r} has {key} {known[key]} in config.pbtxt, not {tensor[key]}")
        known.update(tensor)


@contextmanager
def _importable(version: Path) -> Iterator[None]:
    """Make the model's own files importable, as Triton does: `1.model`, and modules beside `model.py`."""
    before, path = set(sys.modules), list(sys.path)
    others = {
        name: sys.modules.pop(name) for name in (_MODULE, version.name, f"{version.name}.model") if name in before
    }
    from gateway.repository.triton_module import Request, TritonModule  # noqa: PLC0415 - only the sandbox has the backends

    stands_for = type("Utils", (TritonModule,), {"ModelConfig": ModelConfig, "InferenceRequest": Request})
    sys.modules[_MODULE] = stands_for(version)
    sys.path += [str(version), str(version.parent)]
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.dont_write_bytecode = writes
        sys.path[:] = path
        for name in set(sys.modules) - before | {_MODULE, version.name, f"{version.name}.model"}:
            if _is_of(sys.modules.get(name), version) or name in (_MODULE, version.name):
                sys.modules.pop(name, None)
        sys.modules.update(others)


def _is_of(module: ModuleType | None, version: Path) -> bool:
    file = getattr(module, "__file__", None)
    return bool(file) and Path(str(file)).is_relative_to(version)


def _as_json(config: Any) -> dict[str, Any]:
    raw: dict[str, Any] = {"name": "model", "max_batch_size": 0, "input": [], "output": [], "backend": "python"}
    if config is None:
        return raw
    from google.protobuf.json_format import MessageToDict  # noqa: PLC0415 - costs time that only the sandbox spends

    given: dict[str, Any] = MessageToDict(config, preserving_proto_field_name=True)
    for tensor in (*given.get("input", ()), *given.get("output", ())):
        tensor["dims"] = [int(size) for size in tensor.get("dims", ())]
        tensor.setdefault("data_type", "TYPE_INVALID")
    return raw | given


def _explain(error: BaseException, version: Path) -> str:
    """The error on one line, with where in the model's own files it was raised."""
    text = " ".join(str(error).split())[:500] or type(error).__name__
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(str(version))]
    place = f" ({Path(own[-1].filename).name} line {own[-1].lineno})" if own else ""
    if isinstance(error, ModuleNotFoundError):
        return (
            f"{text}{place}; put that module into the folder, install the package where Triton runs, or "
            "import it in initialize and give inputs and outputs in a model.yaml or config.pbtxt"
        )
    return f"{type(error).__name__}: {text}{place}; correct it"

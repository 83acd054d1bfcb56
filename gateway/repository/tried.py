"""A model loaded and run in this process by the code that Triton would run: its backend's, or its own `model.py`."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backends.common.bfloat16 import bits_from_tensor
from backends.common.fake import FakeModelError, FakeTensor
from gateway.assets import asset
from gateway.core.errors import ModelRefused
from gateway.repository.compare import Array
from gateway.repository.datatypes import BF16, in_config
from gateway.repository.description import Description
from gateway.repository.triton_module import Request, Tensor, TritonModule

_MODULE = "triton_python_backend_utils"
_OWN_MODEL = "python"
_GPU_ONLY = "tensorrt"  # an engine runs on a GPU like its own, and a sandbox has none


def entry_point(version: Path, description: Description) -> Path | None:
    """The Python file that Triton would run; None if its backend is a part of Triton itself, or needs a GPU."""
    if description.backend == _GPU_ONLY:
        return None
    if description.backend == _OWN_MODEL:
        return version / description.filename
    path = asset("backends") / description.backend / "model.py"
    return path if path.is_file() else None


class Tried:
    """A model that was loaded as Triton would.

    Args:
        path: its `entry_point`.
        version: the version's folder.
        config: its configuration in Triton's JSON form.
    """

    def __init__(self, path: Path, version: Path, config: Mapping[str, Any]) -> None:
        self._config = config
        self._datatypes = {tensor["name"]: tensor["data_type"] for tensor in config.get("output", [])}
        sys.modules[_MODULE] = TritonModule(version)  # type: ignore[assignment]  # stands for a module
        if path.is_relative_to(version):
            sys.path[:0] = [str(version), str(version.parent)]
        arguments = {
            "model_config": json.dumps(config),
            "model_instance_kind": "CPU",
            "model_instance_name": f"{config['name']}_0",
            "model_instance_device_id": "0",
            "model_repository": str(version.parent),
            "model_version": version.name,
            "model_name": config["name"],
        }
        with _load_errors():
            self._model = _load(path, version)
            if hasattr(self._model, "initialize"):
                self._model.initialize(arguments)

    def run(self, inputs: Mapping[str, Array], datatypes: Mapping[str, str]) -> dict[str, Array]:
        """The outputs of one request.

        Args:
            inputs: with the batch in front where the model batches.
            datatypes: the protocol's, of each input.

        Raises:
            ModelRefused: the model answers with an error, or with no answer.
        """
        tensors = [
            Tensor(name, array, in_config(BF16) if datatypes[name] == BF16 else None) for name, array in inputs.items()
        ]
        request = Request(tensors, tuple(self._datatypes))
        answers = self._model.execute([request])
        responses = request.sender.sent if answers is None else answers
        if not responses or responses[0] is None:
            raise ModelRefused(
                "the model gives no answer: execute must return a list with one response for each request"
            )
        if answers is not None and len(responses) != 1:
            raise ModelRefused(f"execute returned {len(responses)} responses for 1 request; return one for each")
        if responses[0].error is not None:
            raise ModelRefused(f"the model fails on the sample: {responses[0].error.message}")
        return {name: _array(tensor) for name, tensor in responses[0].outputs.items()}

    def close(self) -> None:
        """Release the model."""
        if hasattr(self._model, "finalize"):
            self._model.finalize()


def _load(path: Path, version: Path) -> Any:
    """The model's class; its own modules are found as in Triton, which imports `VERSION.model`."""
    if path.is_relative_to(version):
        for name in (version.name, f"{version.name}.{path.stem}"):
            sys.modules.pop(name, None)  # another model's version may have the same number
        importlib.invalidate_caches()
        module = importlib.import_module(f"{version.name}.{path.stem}")
    else:
        module = _from_file(path)
    if not hasattr(module, "TritonPythonModel"):
        raise ModelRefused(f"{path.name} has no class TritonPythonModel, which Triton looks for")
    return module.TritonPythonModel()


def _from_file(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("model", path)
    assert spec is not None  # noqa: S101 - only for files that are no Python by name
    assert spec.loader is not None  # noqa: S101 - as above
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@contextmanager
def _load_errors() -> Iterator[None]:
    """What the backends say on purpose is a refusal; anything else is told with what was being done."""
    try:
        yield
    except FakeModelError as error:
        raise ModelRefused(f"the model cannot be loaded: {error}") from error.__cause__


def _array(tensor: FakeTensor) -> Array:
    try:
        return tensor.as_numpy()
    except FakeModelError:
        return bits_from_tensor(tensor)

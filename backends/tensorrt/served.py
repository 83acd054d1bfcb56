"""The backend `tensorrt` for one model: finds the GPU, the engine for it, and the runtime that runs it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backends.common.config import ModelConfig
from backends.common.errors import LoadError
from backends.common.files import model_path
from backends.common.placement import Placement
from backends.common.signature import Signature
from backends.tensorrt.driver import CudaDriver, Driver, DriverError, Gpu
from backends.tensorrt.engine import profiles_of, signature_of
from backends.tensorrt.execution import EngineModel
from backends.tensorrt.header import read_header, targets
from backends.tensorrt.runtime import Runtime

_DEFAULT_FILENAME = "model.plan"
_ELSEWHERE = (
    "serve it from a Triton on a machine with one (an upstream in configs/gateway.yaml), or publish the model as ONNX"
)


@dataclass(frozen=True, slots=True)
class EngineBackend:
    """What `adapter.py` calls a backend, with what only this one reads of a configuration.

    Attributes:
        filenames: `cc_model_filenames`: the engine's file for a compute capability, such as "8.9".
        profiles: `instance_group.profile`: the optimization profiles that may be used; empty for all.
        driver: the GPUs.
        runtime: makes a runtime from its package's name.
    """

    filenames: Mapping[str, str] = field(default_factory=dict)
    profiles: frozenset[str] = frozenset()
    driver: Driver = field(default_factory=CudaDriver)
    runtime: Callable[[str], Runtime] = Runtime

    @classmethod
    def of(cls, model_config: str) -> EngineBackend:
        """For the model with this configuration, in Triton's JSON form."""
        raw = json.loads(model_config)
        groups = raw.get("instance_group", [])
        profiles = {str(each) for group in groups for each in group.get("profile", [])}
        return cls(dict(raw.get("cc_model_filenames", {})), frozenset(profiles))

    def inspect(self, folder: Path, raw: Mapping[str, Any]) -> Signature:
        """The signature of the engine in `folder`, which takes a GPU and opens it."""
        files, default = dict(raw.get("cc_model_filenames", {})), str(raw.get("default_model_filename", ""))
        gpu = self._gpu(folder, Placement("AUTO", 0), files, default)
        runtime, engine = self._open(folder, gpu, files, default)
        return signature_of(runtime.library, engine)

    def load(self, folder: Path, config: ModelConfig, placement: Placement) -> EngineModel:
        """The engine in `folder`, checked against its configuration and ready to run."""
        profiles = _numbers(self.profiles)
        gpu = self._gpu(folder, placement, self.filenames, config.filename)
        try:
            device = self.driver.open(gpu)
        except DriverError as error:
            raise LoadError(f"GPU {gpu} cannot be used: {error}") from None
        try:
            runtime, engine = self._open(folder, gpu, self.filenames, config.filename)
            signature = signature_of(runtime.library, engine)
            signature.check(config)
            return EngineModel(runtime, engine, device, signature, profiles_of(engine, signature.inputs, profiles))
        except LoadError:
            device.close()
            raise

    def _gpu(self, folder: Path, placement: Placement, files: Mapping[str, str], default: str) -> int:
        """The number of the GPU to use.

        Raises:
            LoadError: there is none.
        """
        try:
            gpus = self.driver.gpus()
        except DriverError as error:
            raise LoadError(f"the GPUs of this machine cannot be used: {error}; repair the NVIDIA driver") from None
        if not gpus:
            for_gpus = _targets(folder, files, default)
            raise LoadError(f"an engine needs an NVIDIA GPU{for_gpus}, and there is none here; {_ELSEWHERE}")
        if placement.kind == "CPU":  # which Triton makes of KIND_AUTO where there is no GPU
            raise LoadError("instance_group: KIND_CPU, but an engine runs on a GPU only; write KIND_GPU")
        number = placement.gpu(len(gpus), missing="this machine has no more")
        assert number is not None  # noqa: S101 - only without a GPU
        return number

    def _open(self, folder: Path, gpu: int, files: Mapping[str, str], default: str) -> tuple[Runtime, Any]:
        found = self.driver.gpus()[gpu]
        path = model_path(folder, _filename(found, files, default))
        header = read_header(path)
        header.check_gpu(found.capability, found.name)
        runtime = self.runtime(header.runtime)
        return runtime, runtime.open(path, header)


def _filename(gpu: Gpu, files: Mapping[str, str], default: str) -> str:
    key = f"{gpu.capability // 10}.{gpu.capability % 10}"
    return files.get(key) or default or _DEFAULT_FILENAME


def _targets(folder: Path, files: Mapping[str, str], default: str) -> str:
    """For which GPUs there are engines, as far as that is known; an engine that is damaged is refused first."""
    names = dict.fromkeys(files.values()) or {default or _DEFAULT_FILENAME: None}
    headers = [read_header(model_path(folder, name)) for name in names]
    known = sorted({capability for header in headers for capability in header.capabilities})
    return f" ({targets(known or _capabilities(files))})" if known or files else ""


def _capabilities(files: Mapping[str, str]) -> Sequence[int]:
    return sorted(int(key.replace(".", "")) for key in files)


def _numbers(profiles: frozenset[str]) -> tuple[int, ...]:
    """The numbers of optimization profiles.

    Raises:
        LoadError: one is no number.
    """
    wrong = sorted(each for each in profiles if not each.isdecimal())
    if wrong:
        raise LoadError(f"instance_group: profile '{wrong[0]}' is no number; profiles are counted from 0")
    return tuple(sorted(map(int, profiles)))

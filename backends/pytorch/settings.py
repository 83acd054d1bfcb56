"""What `config.pbtxt` says about PyTorch, in the words of Triton's native backend.

Source of the keys: the README of Triton's `pytorch_backend`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from backends.common.config import ModelConfig
from backends.common.frameworks import import_framework
from backends.common.placement import Placement
from backends.common.threads import share_of_cores, usable_cores


@dataclass(frozen=True, slots=True)
class TorchSettings:
    """Settings of the process; the `jit_*` and `tensor_fuser` ones are PyTorch's own choice when `None`."""

    intra_op_threads: int
    inter_op_threads: int
    inference_mode: bool
    optimized_execution: bool
    cudnn: bool
    clean_cache: bool
    jit_profiling: bool | None
    jit_executor: bool | None
    tensor_fuser: bool | None

    @classmethod
    def from_config(cls, config: ModelConfig, cores: int) -> TorchSettings:
        """From the model's configuration, on a machine that offers `cores`.

        Raises:
            LoadError: a value is not valid.
        """
        parameters = config.parameters
        threads = share_of_cores(config.instance_count, cores)
        return cls(
            intra_op_threads=parameters.integer("INTRA_OP_THREAD_COUNT", 0) or threads,
            inter_op_threads=parameters.integer("INTER_OP_THREAD_COUNT", 0) or 1,
            inference_mode=parameters.boolean("INFERENCE_MODE") is not False,
            optimized_execution=not parameters.boolean("DISABLE_OPTIMIZED_EXECUTION"),
            cudnn=not parameters.boolean("DISABLE_CUDNN"),
            clean_cache=bool(parameters.boolean("ENABLE_CACHE_CLEANING")),
            jit_profiling=parameters.boolean("ENABLE_JIT_PROFILING"),
            jit_executor=parameters.boolean("ENABLE_JIT_EXECUTOR"),
            tensor_fuser=parameters.boolean("ENABLE_TENSOR_FUSER"),
        )


@dataclass(frozen=True, slots=True)
class Torch:
    """PyTorch as one model uses it: the module, the device (`cpu`, `cuda:0`) and the settings."""

    module: Any
    device: str
    settings: TorchSettings

    @contextmanager
    def inference(self) -> Iterator[None]:
        """Run a model inside of this: no gradients, and the graph optimiser as configured."""
        torch = self.module
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode() if self.settings.inference_mode else torch.no_grad())
            stack.enter_context(torch.jit.optimized_execution(self.settings.optimized_execution))
            try:
                yield
            finally:
                if self.settings.clean_cache and self.device != "cpu":
                    torch.cuda.empty_cache()


def import_torch() -> Any:
    """PyTorch, whose idle threads sleep: spinning ones starve the other models of the machine."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read once, when the library is loaded
    return import_framework("torch", extra="pytorch", attribute="from_numpy")


def set_up(config: ModelConfig, placement: Placement) -> Torch:
    """Import PyTorch and apply the settings, which hold for the whole process.

    Raises:
        LoadError: PyTorch or the GPU is missing, or a value is not valid.
    """
    settings = TorchSettings.from_config(config, usable_cores())
    torch = import_torch()
    gpus = torch.cuda.device_count() if placement.kind != "CPU" and torch.cuda.is_available() else 0
    gpu = placement.gpu(gpus, missing="torch.cuda sees no such GPU, install a CUDA build of torch and the driver")
    torch.set_num_threads(settings.intra_op_threads)
    if torch.get_num_interop_threads() != settings.inter_op_threads:
        torch.set_num_interop_threads(settings.inter_op_threads)
    torch.backends.cudnn.enabled = settings.cudnn
    for wanted, switch in (
        (settings.jit_profiling, torch._C._jit_set_profiling_mode),
        (settings.jit_executor, torch._C._jit_set_profiling_executor),
        (settings.tensor_fuser, torch._C._jit_set_texpr_fuser_enabled),
    ):
        if wanted is not None:
            switch(wanted)
    return Torch(torch, "cpu" if gpu is None else f"cuda:{gpu}", settings)

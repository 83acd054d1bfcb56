"""What `config.pbtxt` says about ONNX Runtime, in the words of Triton's native backend.

Source of the keys: the README of Triton's `onnxruntime_backend`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from backends.common.config import ModelConfig
from backends.common.errors import LoadError
from backends.common.placement import Placement
from backends.common.threads import share_of_cores

Provider = tuple[str, dict[str, str]]

CPU: Provider = ("CPUExecutionProvider", {})

# `optimization { graph { level } }`, as the native backend reads it.
_GRAPH_LEVELS = {-1: "ORT_ENABLE_BASIC", 0: "ORT_ENABLE_ALL", 1: "ORT_ENABLE_EXTENDED", 2: "ORT_DISABLE_ALL"}

_SPINNING = ("session.intra_op.allow_spinning", "session.inter_op.allow_spinning")

# Parameters of the CUDA provider that the native backend still takes from `parameters`: numbers for names.
_CUDA_PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "cudnn_conv_algo_search": ("EXHAUSTIVE", "HEURISTIC", "DEFAULT"),
    "arena_extend_strategy": ("kNextPowerOfTwo", "kSameAsRequested"),
    "gpu_mem_limit": (),
    "do_copy_in_default_stream": (),
}

# TensorRT's options whose name in `config.pbtxt` is not ONNX Runtime's own.
_TENSORRT_NAMES = {
    "max_workspace_size_bytes": "trt_max_workspace_size",
    "int8_calibration_table_name": "trt_int8_calibration_table_name",
    "int8_use_native_calibration_table": "trt_int8_use_native_calibration_table",
}
_TENSORRT_PRECISIONS = {"FP32": {}, "FP16": {"trt_fp16_enable": "1"}, "INT8": {"trt_int8_enable": "1"}}


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """Settings of one session; `entries` and `run_entries` are ONNX Runtime's own configuration keys."""

    intra_op_threads: int
    inter_op_threads: int
    parallel: bool
    graph_level: str
    mem_arena: bool | None
    mem_pattern: bool | None
    entries: Mapping[str, str]
    run_entries: Mapping[str, str]

    @classmethod
    def from_config(cls, config: ModelConfig, cores: int) -> SessionSettings:
        """From the model's configuration, on a machine that offers `cores`.

        Raises:
            LoadError: a value is not valid.
        """
        parameters = config.parameters
        mode = parameters.integer("execution_mode", 0)
        if mode not in (0, 1):
            raise LoadError(f"parameter 'execution_mode' must be 0 (sequential) or 1 (parallel), not {mode}")
        level = int(config.optimization.get("graph", {}).get("level", 0))
        if level not in _GRAPH_LEVELS:
            raise LoadError(f"'optimization.graph.level' must be -1, 0, 1 or 2, not {level}")
        threads = share_of_cores(config.instance_count, cores)
        # Threads that spin while they wait starve the other models of the machine.
        entries = dict.fromkeys(_SPINNING, "0") | parameters.starting_with("session.")
        return cls(
            intra_op_threads=parameters.integer("intra_op_thread_count", 0) or threads,
            inter_op_threads=parameters.integer("inter_op_thread_count", 0) or (threads if mode else 1),
            parallel=mode == 1,
            graph_level=_GRAPH_LEVELS[level],
            mem_arena=parameters.boolean("enable_mem_arena"),
            mem_pattern=parameters.boolean("enable_mem_pattern"),
            entries=entries,
            run_entries=parameters.starting_with("memory."),
        )


def choose_providers(config: ModelConfig, placement: Placement, available: Collection[str]) -> list[Provider]:
    """The execution providers to ask for, the preferred first, of those that this ONNX Runtime has.

    Raises:
        LoadError: `KIND_GPU`, or an accelerator that the configuration names, is not available.
    """
    # ONNX Runtime cannot count GPUs; whether it took the one asked for shows once the session exists.
    gpus = placement.device_id + 1 if "CUDAExecutionProvider" in available else 0
    gpu = placement.gpu(gpus, missing="this onnxruntime has no CUDA support, install onnxruntime-gpu instead")
    accelerators = config.optimization.get("execution_accelerators", {})
    if gpu is None:
        return [*_cpu_accelerators(accelerators, available), CPU]
    chosen: list[Provider] = []
    cuda = _cuda_parameters(config)
    for accelerator in accelerators.get("gpu_execution_accelerator", []):
        options = {key: str(value) for key, value in accelerator.get("parameters", {}).items()}
        match accelerator["name"]:
            case "tensorrt":
                _require("TensorrtExecutionProvider", "tensorrt", available)
                chosen.append(("TensorrtExecutionProvider", {"device_id": str(gpu), **_tensorrt_options(options)}))
            case "cuda":
                cuda |= options
            case unknown:
                raise LoadError(f"'gpu_execution_accelerator' knows 'tensorrt' and 'cuda', not '{unknown}'")
    return [*chosen, ("CUDAExecutionProvider", {**cuda, "device_id": str(gpu)}), CPU]


def _cpu_accelerators(accelerators: Mapping[str, Any], available: Collection[str]) -> list[Provider]:
    chosen: list[Provider] = []
    for accelerator in accelerators.get("cpu_execution_accelerator", []):
        if accelerator["name"] != "openvino":
            raise LoadError(f"'cpu_execution_accelerator' knows 'openvino', not '{accelerator['name']}'")
        _require("OpenVINOExecutionProvider", "openvino", available)
        chosen.append(("OpenVINOExecutionProvider", {"device_type": "CPU"}))
    return chosen


def _require(provider: str, name: str, available: Collection[str]) -> None:
    if provider not in available:
        raise LoadError(f"execution accelerator '{name}' needs an onnxruntime with {provider}, which this one lacks")


def _cuda_parameters(config: ModelConfig) -> dict[str, str]:
    options: dict[str, str] = {}
    for key, names in _CUDA_PARAMETERS.items():
        value = config.parameters.text(key)
        if value is None:
            continue
        if names and (not value.isdigit() or int(value) >= len(names)):
            raise LoadError(f"parameter '{key}' must be a number from 0 to {len(names) - 1}, not '{value}'")
        options[key] = names[int(value)] if names else value
    return options


def _tensorrt_options(options: Mapping[str, str]) -> dict[str, str]:
    renamed = {_TENSORRT_NAMES.get(key, key): value for key, value in options.items() if key != "precision_mode"}
    precision = options.get("precision_mode", "FP32")
    if precision not in _TENSORRT_PRECISIONS:
        raise LoadError(f"'precision_mode' must be one of {', '.join(_TENSORRT_PRECISIONS)}, not '{precision}'")
    return renamed | _TENSORRT_PRECISIONS[precision]

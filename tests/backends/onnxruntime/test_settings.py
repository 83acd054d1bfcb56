from collections.abc import Mapping
from typing import Any

import pytest

from backends.common.config import ModelConfig, Parameters
from backends.common.errors import LoadError
from backends.common.placement import Placement
from backends.onnxruntime.settings import CPU, SessionSettings, choose_providers

ALL = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "OpenVINOExecutionProvider", "CPUExecutionProvider"]
CPU_ONLY = ["AzureExecutionProvider", "CPUExecutionProvider"]


def config(
    optimization: dict[str, Any] | None = None, parameters: Mapping[str, str] | None = None, instances: int = 1
) -> ModelConfig:
    return ModelConfig(
        "m", 0, (), (), Parameters(parameters or {}), instance_count=instances, optimization=optimization or {}
    )


def test_by_default_an_instance_takes_its_share_of_the_cores_and_never_spins() -> None:
    settings = SessionSettings.from_config(config(instances=2), cores=8)
    assert (settings.intra_op_threads, settings.inter_op_threads, settings.parallel) == (4, 1, False)
    assert settings.graph_level == "ORT_ENABLE_ALL"
    assert settings.entries == {"session.intra_op.allow_spinning": "0", "session.inter_op.allow_spinning": "0"}


def test_the_native_keys() -> None:
    keys = {
        "intra_op_thread_count": "3",
        "inter_op_thread_count": "2",
        "execution_mode": "1",
        "enable_mem_arena": "0",
        "enable_mem_pattern": "1",
        "session.use_device_allocator_for_initializers": "1",
        "session.intra_op.allow_spinning": "1",
        "memory.enable_memory_arena_shrinkage": "cpu:0",
    }
    settings = SessionSettings.from_config(config({"graph": {"level": -1}}, keys), cores=8)
    assert (settings.intra_op_threads, settings.inter_op_threads, settings.parallel) == (3, 2, True)
    assert (settings.mem_arena, settings.mem_pattern, settings.graph_level) == (False, True, "ORT_ENABLE_BASIC")
    assert settings.entries["session.use_device_allocator_for_initializers"] == "1"
    assert settings.entries["session.intra_op.allow_spinning"] == "1"
    assert settings.run_entries == {"memory.enable_memory_arena_shrinkage": "cpu:0"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (config(parameters={"execution_mode": "2"}), "parameter 'execution_mode' must be 0 .* not 2"),
        (config({"graph": {"level": 3}}), "'optimization.graph.level' must be -1, 0, 1 or 2, not 3"),
        (config(parameters={"intra_op_thread_count": "many"}), "parameter 'intra_op_thread_count' must be a number"),
    ],
)
def test_a_wrong_value_is_named(given: ModelConfig, message: str) -> None:
    with pytest.raises(LoadError, match=message):
        SessionSettings.from_config(given, cores=2)


def accelerator(section: str, name: str, **parameters: str) -> dict[str, Any]:
    return {"execution_accelerators": {section: [{"name": name, "parameters": parameters}]}}


def test_the_cpu() -> None:
    assert choose_providers(config(), Placement("CPU", 0), ALL) == [CPU]
    assert choose_providers(config(), Placement("AUTO", 0), CPU_ONLY) == [CPU]
    openvino = accelerator("cpu_execution_accelerator", "openvino")
    assert choose_providers(config(openvino), Placement("CPU", 0), ALL)[0][0] == "OpenVINOExecutionProvider"


def test_a_gpu_with_the_native_keys() -> None:
    keys = {"cudnn_conv_algo_search": "1", "gpu_mem_limit": "1000", "arena_extend_strategy": "1"}
    optimization = accelerator("gpu_execution_accelerator", "cuda", use_ep_level_unified_stream="1")
    assert choose_providers(config(optimization, keys), Placement("GPU", 2), ALL) == [
        (
            "CUDAExecutionProvider",
            {
                "cudnn_conv_algo_search": "HEURISTIC",
                "gpu_mem_limit": "1000",
                "arena_extend_strategy": "kSameAsRequested",
                "use_ep_level_unified_stream": "1",
                "device_id": "2",
            },
        ),
        CPU,
    ]


def test_tensorrt_in_front_of_cuda() -> None:
    given = {"precision_mode": "FP16", "max_workspace_size_bytes": "4096", "trt_engine_cache_enable": "1"}
    optimization = accelerator("gpu_execution_accelerator", "tensorrt", **given)
    first, second, third = choose_providers(config(optimization), Placement("GPU", 1), ALL)
    assert first == (
        "TensorrtExecutionProvider",
        {"device_id": "1", "trt_max_workspace_size": "4096", "trt_engine_cache_enable": "1", "trt_fp16_enable": "1"},
    )
    assert (second[0], third) == ("CUDAExecutionProvider", CPU)


@pytest.mark.parametrize(
    ("given", "place", "available", "message"),
    [
        (config(), Placement("GPU", 0), CPU_ONLY, "KIND_GPU needs GPU 0, none found: .*onnxruntime-gpu"),
        (
            config(accelerator("gpu_execution_accelerator", "tensorrt")),
            Placement("GPU", 0),
            ["CUDAExecutionProvider"],
            "'tensorrt' needs an onnxruntime with TensorrtExecutionProvider",
        ),
        (
            config(accelerator("gpu_execution_accelerator", "tensorrt", precision_mode="FP4")),
            Placement("GPU", 0),
            ALL,
            "'precision_mode' must be one of FP32, FP16, INT8, not 'FP4'",
        ),
        (config(accelerator("gpu_execution_accelerator", "tpu")), Placement("GPU", 0), ALL, "not 'tpu'"),
        (config(accelerator("cpu_execution_accelerator", "dnnl")), Placement("CPU", 0), ALL, "not 'dnnl'"),
        (config(accelerator("cpu_execution_accelerator", "openvino")), Placement("CPU", 0), CPU_ONLY, "OpenVINO"),
        (
            config(parameters={"cudnn_conv_algo_search": "7"}),
            Placement("GPU", 0),
            ALL,
            "must be a number from 0 to 2, not '7'",
        ),
    ],
)
def test_what_is_not_there_is_an_error(
    given: ModelConfig, place: Placement, available: list[str], message: str
) -> None:
    with pytest.raises(LoadError, match=message):
        choose_providers(given, place, available)

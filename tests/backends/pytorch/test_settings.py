from collections.abc import Mapping

import pytest

from backends.common.config import ModelConfig, Parameters
from backends.common.errors import LoadError
from backends.common.placement import Placement
from backends.pytorch.settings import TorchSettings, set_up


def config(parameters: Mapping[str, str] | None = None, instances: int = 1) -> ModelConfig:
    return ModelConfig("m", 0, (), (), Parameters(parameters or {}), instance_count=instances)


def test_by_default_an_instance_takes_its_share_of_the_cores() -> None:
    assert TorchSettings.from_config(config(instances=2), cores=8) == TorchSettings(
        intra_op_threads=4,
        inter_op_threads=1,
        inference_mode=True,
        optimized_execution=True,
        cudnn=True,
        clean_cache=False,
        jit_profiling=None,
        jit_executor=None,
        tensor_fuser=None,
    )


def test_the_native_keys() -> None:
    keys = {
        "INTRA_OP_THREAD_COUNT": "3",
        "INTER_OP_THREAD_COUNT": "2",
        "INFERENCE_MODE": "false",
        "DISABLE_OPTIMIZED_EXECUTION": "true",
        "DISABLE_CUDNN": "true",
        "ENABLE_CACHE_CLEANING": "true",
        "ENABLE_JIT_PROFILING": "false",
        "ENABLE_JIT_EXECUTOR": "true",
        "ENABLE_TENSOR_FUSER": "false",
    }
    assert TorchSettings.from_config(config(keys), cores=8) == TorchSettings(
        intra_op_threads=3,
        inter_op_threads=2,
        inference_mode=False,
        optimized_execution=False,
        cudnn=False,
        clean_cache=True,
        jit_profiling=False,
        jit_executor=True,
        tensor_fuser=False,
    )


def test_a_wrong_value_is_named() -> None:
    with pytest.raises(LoadError, match="parameter 'INFERENCE_MODE' must be a boolean"):
        TorchSettings.from_config(config({"INFERENCE_MODE": "perhaps"}), cores=2)


def test_the_settings_reach_the_process() -> None:
    torch = pytest.importorskip("torch", reason="install the extra 'pytorch'")
    before = torch.get_num_threads()
    try:
        made = set_up(config({"INTRA_OP_THREAD_COUNT": "1", "INFERENCE_MODE": "false"}), Placement("CPU", 0))
        assert (made.device, torch.get_num_threads()) == ("cpu", 1)
        with made.inference():
            assert not torch.is_inference_mode_enabled()
            assert not torch.is_grad_enabled()
    finally:
        torch.set_num_threads(before)


def test_a_gpu_that_is_not_there_is_a_load_error() -> None:
    torch = pytest.importorskip("torch", reason="install the extra 'pytorch'")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(LoadError, match=r"KIND_GPU needs GPU 0, none found: torch\.cuda sees no such GPU"):
        set_up(config(), Placement("GPU", 0))

from __future__ import annotations

from pathlib import Path

import pytest

from backends.common.errors import LoadError
from backends.common.placement import Placement
from backends.common.signature import complete
from backends.tensorrt.driver import DriverError, Gpu
from backends.tensorrt.fake import FakeDriver
from backends.tensorrt.served import EngineBackend
from tests.backends.tensorrt.engines import ON_GPU, backend, configured, doubles, doubling, plan

HOPPER = Gpu(90, "NVIDIA H200")


def without_gpu() -> EngineBackend:
    return EngineBackend(driver=FakeDriver())


def test_without_a_gpu_it_says_which_one_is_needed_and_the_ways_out(tmp_path: Path) -> None:
    told = r"needs an NVIDIA GPU \(sm_86 or sm_89\), and there is none here; serve it from a Triton on a machine with"
    with pytest.raises(LoadError, match=told):
        without_gpu().load(plan(tmp_path, targets=0b1100), configured(), ON_GPU)
    with pytest.raises(LoadError, match=told):
        without_gpu().inspect(tmp_path, {})


def test_without_a_gpu_the_files_for_each_tell_which_one_is_needed(tmp_path: Path) -> None:
    for name in ("a.plan", "b.plan"):
        plan(tmp_path, name, tag=b"ftrt", version="10.9.0.34")
    files = {"8.0": "a.plan", "9.0": "b.plan"}
    with pytest.raises(LoadError, match=r"\(sm_80 or sm_90\)"):
        EngineBackend(files, driver=FakeDriver()).load(tmp_path, configured(), ON_GPU)


@pytest.mark.parametrize("kind", ["GPU", "AUTO", "CPU"])
def test_without_a_gpu_a_damaged_engine_is_told_first(tmp_path: Path, kind: str) -> None:
    plan(tmp_path)
    (tmp_path / "model.plan").write_bytes((tmp_path / "model.plan").read_bytes()[:-1])
    with pytest.raises(LoadError, match="cut short: it has 63 of its 64 bytes"):
        without_gpu().load(tmp_path, configured(), Placement(kind, 0))


def test_it_does_not_run_on_a_cpu(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="KIND_CPU, but an engine runs on a GPU only; write KIND_GPU"):
        backend(doubling()).load(plan(tmp_path), configured(), Placement("CPU", 0))


def test_a_gpu_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="KIND_GPU needs GPU 3, 1 found: this machine has no more"):
        backend(doubling()).load(plan(tmp_path), configured(), Placement("GPU", 3))


def test_a_gpu_that_the_engine_is_not_for(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"the engine is for sm_89, and this GPU \(NVIDIA H200\) is sm_90; build"):
        backend(doubling(), HOPPER).load(plan(tmp_path), configured(), ON_GPU)


def test_each_gpu_gets_the_engine_that_was_built_for_it(tmp_path: Path) -> None:
    plan(tmp_path, "ada.plan")
    plan(tmp_path, "turing.plan", targets=0b1)
    files = {"cc_model_filenames": {"8.9": "ada.plan", "7.5": "turing.plan"}}
    doubles(backend(doubling(), **files).load(tmp_path, configured(default_model_filename="turing.plan"), ON_GPU))
    doubles(backend(doubling(), Gpu(75, "T4"), **files).load(tmp_path, configured(), ON_GPU))
    with pytest.raises(LoadError, match="the engine is for sm_75, and this GPU"):
        backend(doubling(), HOPPER, **files).load(tmp_path, configured(default_model_filename="turing.plan"), ON_GPU)


def test_only_the_profiles_of_the_instance_group_are_used(tmp_path: Path) -> None:
    groups = [{"profile": ["0"]}]
    model = backend(doubling(), instance_group=groups).load(plan(tmp_path), configured(), ON_GPU)
    assert list(model._profiles) == [0]
    for wrong, told in (("2", r"profile 2 is not in the engine, which has 0, 1"), ("fast", "'fast' is no number")):
        made = backend(doubling(), instance_group=[{"profile": [wrong]}])
        with pytest.raises(LoadError, match=told):
            made.load(tmp_path, configured(), ON_GPU)


def test_the_configuration_is_held_against_the_engine(tmp_path: Path) -> None:
    wrong = configured(input=[{"name": "z", "data_type": "TYPE_FP32", "dims": [4]}])
    made = backend(engine := doubling())
    with pytest.raises(LoadError, match=r"input 'z' of config\.pbtxt is not in the model"):
        made.load(plan(tmp_path), wrong, ON_GPU)
    assert engine.device.closed


def test_the_engine_completes_a_configuration(tmp_path: Path) -> None:
    signature = backend(doubling()).inspect(plan(tmp_path), {})
    completed = complete({"name": "m"}, signature)
    assert completed["input"] == [{"name": "x", "data_type": "TYPE_FP32", "dims": [4]}]
    assert completed["max_batch_size"] == 4


def test_a_driver_that_is_broken(tmp_path: Path) -> None:
    class Broken(FakeDriver):
        def gpus(self) -> tuple[Gpu, ...]:
            raise DriverError("CUDA says to cuInit: system not yet initialized (802)")

    with pytest.raises(LoadError, match=r"cannot be used: CUDA says to cuInit.*repair the NVIDIA driver"):
        EngineBackend(driver=Broken()).load(plan(tmp_path), configured(), ON_GPU)

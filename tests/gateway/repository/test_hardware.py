import os
from pathlib import Path

import pytest

from gateway.repository.hardware import Hardware


def test_the_cores_are_those_that_this_process_may_use(tmp_path: Path) -> None:
    assert Hardware.here(tmp_path, {}) == Hardware(len(os.sched_getaffinity(0)), 0)


def test_a_containers_quota_limits_the_cores(tmp_path: Path) -> None:
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/cpu.max").write_text("50000 100000\n")
    assert Hardware.here(tmp_path, {}).cores == 1
    (tmp_path / "sys/fs/cgroup/cpu.max").write_text("max 100000\n")
    assert Hardware.here(tmp_path, {}).cores == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("place", ["dev/nvidia{}", "proc/driver/nvidia/gpus/0000:0{}:00.0"])
def test_gpus_are_counted_without_their_library(tmp_path: Path, place: str) -> None:
    for number in range(2):
        (tmp_path / place.format(number)).mkdir(parents=True)
    (tmp_path / "dev/nvidiactl").mkdir(parents=True)
    assert Hardware.here(tmp_path, {}).gpus == 2
    assert Hardware.here(tmp_path, {"CUDA_VISIBLE_DEVICES": "1"}).gpus == 1
    assert Hardware.here(tmp_path, {"CUDA_VISIBLE_DEVICES": ""}).gpus == 0
    assert Hardware.here(tmp_path, {"CUDA_VISIBLE_DEVICES": "-1"}).gpus == 0
    assert Hardware.here(tmp_path, {"CUDA_VISIBLE_DEVICES": "0,1,2,3"}).gpus == 2

import pytest

from backends.common.errors import LoadError
from backends.common.placement import Placement


def test_from_what_triton_passes() -> None:
    assert Placement.from_args({"model_instance_kind": "GPU", "model_instance_device_id": "1"}) == Placement("GPU", 1)
    assert Placement.from_args({"model_instance_kind": "KIND_CPU"}) == Placement("CPU", 0)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(LoadError, match="kind 'KIND_TPU' is unknown"):
        Placement.from_args({"model_instance_kind": "TPU"})


@pytest.mark.parametrize(
    ("kind", "device", "available", "gpu"),
    [
        ("CPU", 0, 4, None),
        ("GPU", 0, 1, 0),
        ("GPU", 3, 4, 3),
        ("AUTO", 0, 0, None),
        ("AUTO", 1, 2, 1),
        ("MODEL", 5, 2, 0),
    ],
)
def test_the_gpu_that_an_instance_takes(kind: str, device: int, available: int, gpu: int | None) -> None:
    assert Placement(kind, device).gpu(available, missing="no CUDA") == gpu


@pytest.mark.parametrize(("available", "found"), [(0, "none found"), (2, "2 found")])
def test_a_gpu_that_is_not_there_is_an_error_that_says_what_to_do(available: int, found: str) -> None:
    with pytest.raises(LoadError, match=f"KIND_GPU needs GPU 2, {found}: no CUDA; or use KIND_CPU"):
        Placement("GPU", 2).gpu(available, missing="no CUDA")

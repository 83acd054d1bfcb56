from __future__ import annotations

from typing import Any

from converters.engines.gpus import Gpu, gpus


class Driver:
    """Two GPUs as NVIDIA's driver tells of them."""

    NAMES = (b"NVIDIA GeForce RTX 4090", b"NVIDIA H200")
    CAPABILITIES = ({75: 8, 76: 9}, {75: 9, 76: 0})
    MEMORY = (25_386_352_640, 150_754_820_096)

    def __init__(self, init: int = 0) -> None:
        self._init = init

    def cuInit(self, flags: int) -> int:  # noqa: N802 - the driver's own name
        return self._init

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = len(self.NAMES)
        return 0

    def cuDeviceGet(self, device: Any, index: int) -> int:  # noqa: N802
        device._obj.value = index
        return 0

    def cuDeviceGetName(self, name: Any, size: int, device: Any) -> int:  # noqa: N802
        assert size >= 64
        name.value = self.NAMES[device.value]
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, device: Any) -> int:  # noqa: N802
        value._obj.value = self.CAPABILITIES[device.value][attribute]
        return 0

    def cuDeviceTotalMem_v2(self, memory: Any, device: Any) -> int:  # noqa: N802
        memory._obj.value = self.MEMORY[device.value]
        return 0


def test_asks_the_driver() -> None:
    assert gpus(Driver()) == (
        Gpu("NVIDIA GeForce RTX 4090", 89, 25_386_352_640),
        Gpu("NVIDIA H200", 90, 150_754_820_096),
    )


def test_a_driver_without_a_gpu() -> None:
    assert gpus(Driver(init=100)) == ()


def test_this_machine() -> None:
    assert all(gpu.compute_capability >= 50 and gpu.memory > 0 and gpu.name for gpu in gpus())

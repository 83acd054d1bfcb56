from __future__ import annotations

import numpy as np
import pytest

from backends.tensorrt.driver import DriverError, Gpu, OutOfMemory
from backends.tensorrt.fake import FakeDevice, FakeDriver, fake_plan
from tests.backends.tensorrt.engines import doubling

GPU = Gpu(89, "a GPU")


def test_nothing_happens_before_it_is_waited_for() -> None:
    device = FakeDriver(GPU).open(0)
    device.activate()
    address, received = device.allocate(4), np.zeros(1, np.float32)
    device.upload(np.ones(1, np.float32), address)
    device.download(address, received)
    assert received[0] == 0
    device.wait()
    assert received[0] == 1


def test_memory_is_bounded_and_belongs_to_the_thread_that_asked_for_the_gpu() -> None:
    device = FakeDevice(8)
    with pytest.raises(DriverError, match="invalid device context"):
        device.allocate(1)
    device.activate()
    first = device.allocate(8)
    with pytest.raises(OutOfMemory):
        device.allocate(1)
    device.free(first)
    assert device.allocate(1)


def test_a_context_takes_only_shapes_of_its_profile() -> None:
    said: list[str] = []
    engine = doubling(said=said.append)
    engine.device = FakeDriver(GPU).open(0)
    engine.device.activate()
    context = engine.create_execution_context()
    assert context is not None
    assert not context.set_input_shape("x", (8, 4))
    assert "does not satisfy" in said[0]
    assert context.set_optimization_profile_async(1, engine.device.stream)
    assert context.set_input_shape("x", (8, 4))
    assert context.get_tensor_shape("y") == (8, 4)
    assert not context.set_tensor_address("x", 0)


def test_a_plan_has_the_header_of_a_real_one() -> None:
    data = fake_plan("1.7.1.116", 0b1100)
    assert (data[:4], data[24:28], int.from_bytes(data[16:24], "little"), data[32]) == (
        b"vtrt",
        b"\1\7\1t",
        len(data),
        12,
    )

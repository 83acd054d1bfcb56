from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backends.common.errors import LoadError, RequestError
from backends.tensorrt.driver import Gpu
from backends.tensorrt.fake import FakeDevice, FakeEngine, FakeTensor
from tests.backends.tensorrt.engines import ON_GPU, backend, configured, doubles, doubling, plan


def test_it_keeps_the_contract(tmp_path: Path) -> None:
    doubles(backend(doubling()).load(plan(tmp_path), configured(), ON_GPU))


def test_all_types_of_tensors_go_up_and_down(tmp_path: Path) -> None:
    types = {"a": ("HALF", "FP16"), "b": ("BF16", "BF16"), "c": ("INT64", "INT64"), "d": ("BOOL", "BOOL")}
    engine = FakeEngine(
        inputs={name: FakeTensor(kind, (2,)) for name, (kind, _) in types.items()},
        outputs={f"{name}_": FakeTensor(kind, (2,)) for name, (kind, _) in types.items()},
        compute=lambda arrays: {f"{name}_": array for name, array in arrays.items()},
        shapes=lambda shapes: {f"{name}_": shape for name, shape in shapes.items()},
        profiles=[dict.fromkeys(types, ((2,), (2,), (2,)))],
    )
    sides = ({"input": "", "output": "_"}).items()
    config = {
        side: [{"name": name + end, "data_type": f"TYPE_{kind}", "dims": [2]} for name, (_, kind) in types.items()]
        for side, end in sides
    }
    model = backend(engine).load(plan(tmp_path), configured(max_batch_size=0, **config), ON_GPU)
    sent = {
        "a": np.array([1.5, -2], np.float16),
        "b": np.array([0x3F80, 0xC000], np.uint16),
        "c": np.array([2**40, -1]),
        "d": np.array([True, False]),
    }
    received = model.run(sent, ["a_", "b_", "c_", "d_"])
    assert {name: array.tolist() for name, array in received.items()} == {
        f"{name}_": array.tolist() for name, array in sent.items()
    }


def test_a_tensor_without_elements_and_one_without_dimensions(tmp_path: Path) -> None:
    engine = doubling(
        inputs={"x": FakeTensor("FLOAT", ()), "n": FakeTensor("FLOAT", (-1,))},
        outputs={"y": FakeTensor("FLOAT", ()), "m": FakeTensor("FLOAT", (-1,))},
        compute=lambda arrays: {"y": arrays["x"] + arrays["x"], "m": arrays["n"]},
        shapes=lambda shapes: {"y": (), "m": shapes["n"]},
        profiles=[{"x": ((), (), ()), "n": ((0,), (2,), (2,))}],
    )
    config = {
        "input": [{"name": n, "data_type": "TYPE_FP32", "dims": d} for n, d in (("x", [1]), ("n", [-1]))],
        "output": [{"name": n, "data_type": "TYPE_FP32", "dims": d} for n, d in (("y", [1]), ("m", [-1]))],
    }
    model = backend(engine).load(plan(tmp_path), configured(max_batch_size=0, **config), ON_GPU)
    assert model.scalars == {"x"}
    received = model.run({"x": np.float32(3).reshape(()), "n": np.empty(0, np.float32)}, ["y", "m"])
    assert (received["y"].item(), received["m"].shape) == (6, (0,))


def test_memory_that_runs_out_is_the_batchs_error_and_the_next_one_works(tmp_path: Path) -> None:
    made = backend(engine := doubling())
    model = made.load(plan(tmp_path), configured(), ON_GPU)
    engine.device._capacity = 600
    rows = np.ones((8, 4), np.float32)
    model.run({"x": rows}, ["y"])
    engine.device._capacity = 10
    model._buffers.clear()
    with pytest.raises(RequestError, match="no memory left for this batch: out of memory; send smaller ones"):
        model.run({"x": rows}, ["y"])
    engine.device._capacity = 4000
    assert model.run({"x": rows}, ["y"])["y"].sum() == 64


def test_what_the_engine_says_when_it_fails_reaches_the_caller(tmp_path: Path) -> None:
    engine = doubling(fails="executeAsyncV3: Error Code 1: Cuda Runtime (misaligned address)")
    model = backend(engine).load(plan(tmp_path), configured(), ON_GPU)
    with pytest.raises(
        RequestError, match=r"the engine failed: error 1: Cuda Runtime \(misaligned address\)"
    ) as raised:
        model.run({"x": np.ones((1, 4), np.float32)}, ["y"])
    assert not raised.value.invalid


def test_an_engine_that_does_not_fit_into_memory_is_refused_at_load(tmp_path: Path) -> None:
    made = backend(engine := doubling())
    engine.device._capacity = 0
    with pytest.raises(LoadError, match="does not fit into the GPU's memory: error 2: out of memory"):
        made.load(plan(tmp_path), configured(), ON_GPU)
    assert engine.device.closed


def test_an_output_as_large_as_the_data_make_it_is_refused_at_load(tmp_path: Path) -> None:
    engine = doubling(shapes=lambda _: {"y": (-1, 4)})
    with pytest.raises(LoadError, match="output 'y' is as large as the data make it"):
        backend(engine).load(plan(tmp_path), configured(), ON_GPU)


def test_closing_gives_all_memory_back(tmp_path: Path) -> None:
    model = backend(engine := doubling(), Gpu(89, "a GPU")).load(plan(tmp_path), configured(), ON_GPU)
    model.run({"x": np.ones((8, 4), np.float32)}, ["y"])
    assert engine.device.memory
    model.close()
    assert (engine.device.memory, engine.device.closed) == ({}, True)
    assert isinstance(engine.device, FakeDevice)

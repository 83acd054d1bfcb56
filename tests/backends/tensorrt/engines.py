"""An engine that doubles its input, on a double of a GPU; and what any engine of its kind must do, real ones too."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest

from backends.common.config import ModelConfig, parse_config
from backends.common.datatypes import Array
from backends.common.errors import RequestError
from backends.common.placement import Placement
from backends.tensorrt.driver import Gpu
from backends.tensorrt.fake import FakeDriver, FakeEngine, FakeTensor, fake_library, fake_plan
from backends.tensorrt.runtime import Runtime
from backends.tensorrt.served import EngineBackend

ADA = Gpu(89, "an Ada GPU")
ON_GPU = Placement("GPU", 0)
CONFIG: Mapping[str, Any] = {
    "name": "m",
    "max_batch_size": 8,
    "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [4]}],
    "output": [{"name": "y", "data_type": "TYPE_FP32", "dims": [4]}],
}
SMALL, LARGE = ((1, 4), (1, 4), (2, 4)), ((1, 4), (8, 4), (8, 4))


class Runner(Protocol):
    """A loaded engine."""

    def run(self, inputs: Mapping[str, Array], outputs: Collection[str]) -> Mapping[str, Array]: ...


def doubling(**other: Any) -> FakeEngine:
    """`y = 2 x` for four columns and up to 8 rows, with a profile for few rows and one for many."""
    return FakeEngine(
        **{
            "inputs": {"x": FakeTensor("FLOAT", (-1, 4))},
            "outputs": {"y": FakeTensor("FLOAT", (-1, 4))},
            "compute": lambda arrays: {"y": arrays["x"] * 2},
            "shapes": lambda shapes: {"y": shapes["x"]},
            "profiles": [{"x": SMALL}, {"x": LARGE}],
            **other,
        }
    )


def configured(**other: Any) -> ModelConfig:
    return parse_config({**CONFIG, **other})


def backend(engine: FakeEngine, *gpus: Gpu, **raw: Any) -> EngineBackend:
    """The backend on a machine with one Ada GPU, or these, for a configuration with these keys."""
    driver = FakeDriver(*(gpus or (ADA,)))
    engine.device = driver.open(0)
    made = EngineBackend.of(json.dumps({**CONFIG, **raw}))
    return EngineBackend(
        made.filenames, made.profiles, driver, lambda name: Runtime(name, lambda _: fake_library(engine))
    )


def plan(folder: Path, name: str = "model.plan", **other: Any) -> Path:
    (folder / name).write_bytes(fake_plan(**other))
    return folder


def doubles(model: Runner) -> None:
    """The contract: sizes that grow and shrink, other profiles in between, and errors that leave it as it was."""
    for rows in (1, 8, 2, 5, 1):
        x = np.random.default_rng(rows).random((rows, 4), np.float32)
        np.testing.assert_allclose(model.run({"x": x}, ["y"])["y"], 2 * x, rtol=1e-3)
    wide = np.zeros((2, 8), np.float32)
    strided = np.arange(16, dtype=np.float32).reshape(2, 8)[:, ::2]
    np.testing.assert_allclose(model.run({"x": strided}, ["y"])["y"], 2 * strided, rtol=1e-3)
    for wrong, told in ((np.zeros((9, 4), np.float32), "the engine was built for"), (wide, r"has the shape \[2, 8\]")):
        with pytest.raises(RequestError, match=told) as raised:
            model.run({"x": wrong}, ["y"])
        assert raised.value.invalid
    with pytest.raises(RequestError, match="'x' is float64, and the engine takes TYPE_FP32"):
        model.run({"x": np.zeros((1, 4))}, ["y"])
    assert model.run({"x": np.ones((1, 4), np.float32)}, []) == {}
    assert model.run({"x": np.ones((1, 4), np.float32)}, ["y"])["y"].tolist() == [[2, 2, 2, 2]]

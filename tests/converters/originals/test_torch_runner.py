import numpy as np
import pytest
import torch

from converters.errors import BadData, ConfigError
from converters.originals.torch_runner import TorchRunner
from tests.converters.torch_models import Pair, Weighted


def test_outputs_are_named() -> None:
    runner = TorchRunner(Pair(), ["x"], ())
    assert runner.name == f"torch {torch.__version__}"
    found = runner.run({"x": np.ones((1, 3), np.float32)})
    assert {name: array.tolist() for name, array in found.items()} == {"output_0": [[2, 2, 2]], "output_1": [[1, 2, 3]]}
    named = TorchRunner(Pair(), ["x"], ("double", "running")).run({"x": np.ones((1, 3), np.float32)})
    assert list(named) == ["double", "running"]
    with pytest.raises(ConfigError, match="1 output names"):
        TorchRunner(Pair(), ["x"], ("double",)).run({"x": np.ones((1, 3), np.float32)})


def test_no_gradients_are_kept() -> None:
    feeds = {"x": np.ones((1, 4), np.float32), "mask": np.ones((1, 3), np.float32)}
    assert isinstance(TorchRunner(Weighted(), ["x", "mask"], ()).run(feeds)["scores"], np.ndarray)


def test_input_that_does_not_fit_is_told() -> None:
    runner = TorchRunner(Weighted(), ["x", "mask"], ())
    with pytest.raises(BadData, match=r"does not take the input \(x float32 \[1, 9\], mask float32 \[1, 3\]\)"):
        runner.run({"x": np.ones((1, 9), np.float32), "mask": np.ones((1, 3), np.float32)})
    with pytest.raises(BadData, match="no 'mask'"):
        runner.run({"x": np.ones((1, 4), np.float32)})


def test_a_closed_runner_does_not_run() -> None:
    runner = TorchRunner(Pair(), ["x"], ())
    runner.close()
    with pytest.raises(BadData, match="closed"):
        runner.run({"x": np.ones((1, 3), np.float32)})

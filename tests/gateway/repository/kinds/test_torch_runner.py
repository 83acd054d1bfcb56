from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="install the extra 'pytorch'")

import torch

from backends.pytorch import torchscript as served
from gateway.core.errors import ModelRefused
from gateway.repository.description import Tensor
from gateway.repository.kinds.torch_runner import ModuleRunner
from tests.backends.pytorch.torch_modules import Affine, Features, Words
from tests.backends.sample_models import torchscript


def runner(path: Path, module: Any, *inputs: Tensor) -> ModuleRunner:
    opened = served.open_module(torch, torchscript(path / "model.pt", module), "cpu")
    return ModuleRunner(opened, served.arguments(opened), inputs)


def test_results_are_numbered_and_plain_numbers_taken_from_one_element(tmp_path: Path) -> None:
    inputs = (Tensor("x", "FP32", (-1, 2)), Tensor("scale", "INT64", (-1, 1)))
    affine = runner(tmp_path, Affine(), *inputs)
    uniform = affine.uniform({"x": np.array([[1.0, 2.0]]), "scale": np.array([[3], [4]])})
    assert {name: array.tolist() for name, array in uniform.items()} == {"x": [[1, 2]], "scale": [[3], [3]]}
    found = affine({"x": np.ones((2, 2), np.float32), "scale": np.full((2, 1), 3)})
    assert {name: array.tolist() for name, array in found.items()} == {
        "OUTPUT__0": [[3, 3], [3, 3]],
        "OUTPUT__1": [[6, 6], [6, 6]],
    }
    assert affine.datatypes == {"OUTPUT__0": "FP32", "OUTPUT__1": "FP32"}


def test_results_in_a_dictionary_are_named_by_its_keys(tmp_path: Path) -> None:
    features = runner(tmp_path, Features(), Tensor("a", "FP32", (2,)), Tensor("b", "FP32", (2,)))
    found = features({"a": np.ones(2, np.float32), "b": np.ones(2, np.float32)})
    assert features.keyed
    assert found["sum"].tolist() == [2, 2]


def test_strings_go_in_and_come_out(tmp_path: Path) -> None:
    words = runner(tmp_path, Words(), Tensor("words", "BYTES", (-1,)))
    found = words({"words": np.array([b"one", b"two"], object)})
    assert found["OUTPUT__0"].tolist() == [b"one!", b"two!"]
    assert words.datatypes == {"OUTPUT__0": "BYTES", "OUTPUT__1": "INT64"}


def test_inputs_that_do_not_fit_the_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match=r"nobody said an input for 'scale'.*forward takes x, scale, bias"):
        runner(tmp_path, Affine(), Tensor("x", "FP32", (2,)))

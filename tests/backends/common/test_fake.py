from pathlib import Path

import numpy as np
import pytest

from backends.common.bfloat16 import bits_from_tensor, capsule_from_bits
from backends.common.fake import FakeModelError, FakePythonBackend, FakeTensor


def test_bfloat16_comes_only_by_dlpack_as_in_triton() -> None:
    bits = np.array([0x3FC0], np.uint16)
    tensor = FakeTensor("x", bits, "TYPE_BF16")
    with pytest.raises(FakeModelError, match="cannot be converted to NumPy"):
        tensor.as_numpy()
    assert bits_from_tensor(tensor).tolist() == [0x3FC0]


def test_a_tensor_is_made_from_a_capsule() -> None:
    tensor = FakeTensor.from_dlpack("y", capsule_from_bits(np.array([[0x3FC0, 1]], np.uint16)))
    assert (tensor.name(), tensor.bits().tolist()) == ("y", [[0x3FC0, 1]])


def test_the_models_folder(tmp_path: Path) -> None:
    assert FakePythonBackend(tmp_path).get_model_dir() == str(tmp_path)

import ctypes
from typing import Any

import numpy as np
import pytest

from backends.common.bfloat16 import bits_from_tensor, capsule_from_bits

torch = pytest.importorskip("torch", reason="PyTorch speaks DLPack with bfloat16: install the extra 'pytorch'")


class TorchTensor:
    """A PyTorch tensor with the part of Triton's API that the BF16 path uses."""

    def __init__(self, tensor: Any) -> None:
        self._tensor = tensor

    def to_dlpack(self) -> Any:
        return self._tensor.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


@pytest.mark.parametrize("shape", [(2, 3), (1,), (), (0, 3)])
def test_the_bits_of_a_tensor_of_another_framework(shape: tuple[int, ...]) -> None:
    tensor = torch.full(shape, 1.5, dtype=torch.bfloat16)
    bits = bits_from_tensor(TorchTensor(tensor))
    assert bits.dtype == np.uint16
    assert bits.shape == shape
    assert (bits == 0x3FC0).all()


def test_the_bits_outlive_the_tensor_they_came_from() -> None:
    bits = bits_from_tensor(TorchTensor(torch.full((1000,), -2.0, dtype=torch.bfloat16)))
    assert (bits == 0xC000).all()


@pytest.mark.parametrize("writeable", [True, False])
def test_another_framework_reads_the_bits_as_bfloat16(writeable: bool) -> None:
    bits = np.array([[0x3FC0, 0xC000]], np.uint16)
    bits.flags.writeable = writeable
    assert torch.from_dlpack(capsule_from_bits(bits)).tolist() == [[1.5, -2.0]]


def test_a_strided_array_is_copied_into_order() -> None:
    bits = np.array([[0x3FC0, 1, 0xC000, 1]], np.uint16)[:, ::2]
    assert torch.from_dlpack(capsule_from_bits(bits)).tolist() == [[1.5, -2.0]]


def test_a_capsule_under_tritons_name_is_dropped_without_an_error(recwarn: pytest.WarningsRecorder) -> None:
    # Triton renames what it has taken to "used_dlpack", a name that numpy's destructor complains about.
    capsule = capsule_from_bits(np.array([0x3FC0], np.uint16))
    set_name = ctypes.pythonapi.PyCapsule_SetName
    set_name.argtypes = (ctypes.py_object, ctypes.c_char_p)
    name = ctypes.c_char_p(b"used_dlpack")
    set_name(capsule, name)
    del capsule
    assert not recwarn.list  # pytest turns an error in a destructor into a warning

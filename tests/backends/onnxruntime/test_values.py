import numpy as np
import pytest

from backends.common.errors import RequestError
from backends.onnxruntime.values import array_of, bfloat16, bfloat16_bits, decoded

ort = pytest.importorskip("onnxruntime", reason="install the extra 'onnx'")


def test_strings_are_decoded_in_their_shape() -> None:
    result = decoded("x", np.array([[b"a", "zwölf".encode()], [b"", b"nul\0inside"]], object))
    assert result.tolist() == [["a", "zwölf"], ["", "nul\0inside"]]


def test_bytes_that_are_no_string_are_the_callers_fault() -> None:
    with pytest.raises(RequestError, match="input 'x' holds bytes that are not UTF-8") as caught:
        decoded("x", np.array([b"\xff"], object))
    assert caught.value.invalid


@pytest.mark.parametrize("shape", [(2, 3), (0, 3), ()])
def test_bfloat16_in_and_out(shape: tuple[int, ...]) -> None:
    bits = np.full(shape, 0x3FC0, np.uint16)
    value = bfloat16(ort, bits)
    assert value.data_type() == "tensor(bfloat16)"
    assert bfloat16_bits(value).tolist() == bits.tolist()


def test_other_values_come_as_they_are() -> None:
    assert array_of(ort.OrtValue.ortvalue_from_numpy(np.array([1.5]))).tolist() == [1.5]


def test_a_strided_array_is_put_in_order() -> None:
    bits = np.array([[0x3FC0, 1, 0xC000, 1]], np.uint16)[:, ::2]
    assert bfloat16_bits(bfloat16(ort, bits)).tolist() == [[0x3FC0, 0xC000]]

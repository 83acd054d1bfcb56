import numpy as np
import pytest

from gateway.repository.datatypes import NUMPY_NAMES, in_config, normalise, of_array


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("FP32", "FP32"),
        ("fp16", "FP16"),
        ("float32", "FP32"),
        ("TYPE_FP32", "FP32"),
        ("torch.int64", "INT64"),
        ("np.uint8", "UINT8"),
        ("double", "FP64"),
        ("bfloat16", "BF16"),
        ("TYPE_STRING", "BYTES"),
        ("str", "BYTES"),
        ("bool", "BOOL"),
    ],
)
def test_every_usual_spelling_is_understood(written: str, meant: str) -> None:
    assert normalise(written) == meant


def test_a_misspelt_datatype_is_told_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="'flaot32' is no datatype; did you mean FP32"):
        normalise("flaot32")
    with pytest.raises(ValueError, match="'image' is no datatype; use one of BOOL, "):
        normalise("image")


def test_arrays_are_told_by_their_numpy_type() -> None:
    for datatype, name in NUMPY_NAMES.items():
        if datatype not in ("BF16", "BYTES"):
            assert of_array(np.dtype(name).name) == datatype
    assert of_array("<U5") == of_array("|S3") == "BYTES"
    assert of_array("complex64") is None


def test_a_configuration_says_string_for_bytes() -> None:
    assert in_config("BYTES") == "TYPE_STRING"
    assert in_config("BF16") == "TYPE_BF16"

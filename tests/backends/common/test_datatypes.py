import numpy as np
import pytest

from backends.common.datatypes import NUMPY_TYPES, numpy_type
from backends.common.errors import LoadError


def test_bfloat16_travels_as_its_bits() -> None:
    assert numpy_type("TYPE_BF16") == np.uint16


def test_every_datatype_of_triton_is_known() -> None:
    assert len(NUMPY_TYPES) == 14


def test_an_unknown_datatype_is_refused_with_the_valid_ones() -> None:
    with pytest.raises(LoadError, match=r"'TYPE_FP8' is no datatype; valid ones are TYPE_BOOL, "):
        numpy_type("TYPE_FP8")

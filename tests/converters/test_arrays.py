import numpy as np
import pytest

from converters.arrays import DATATYPES, datatype_of, numpy_type


@pytest.mark.parametrize("datatype", [name for name in DATATYPES.values() if name != "BYTES"])
def test_a_datatype_and_its_numpy_type_belong_together(datatype: str) -> None:
    assert datatype_of(np.zeros(1, numpy_type(datatype))) == datatype


def test_text_is_bytes_and_what_the_protocol_does_not_carry_has_no_name() -> None:
    assert datatype_of(np.array(["a"])) == "BYTES"
    assert datatype_of(np.array([b"a"], object)) == "BYTES"
    assert datatype_of(np.zeros(1, np.complex64)) == ""
    with pytest.raises(KeyError):
        numpy_type("FP8")

from pathlib import Path

import pytest

from backends.common.errors import LoadError
from backends.common.signature import TensorSpec
from gateway.core.errors import ModelRefused
from gateway.repository.description import Tensor
from gateway.repository.kinds.hinted import UNKNOWN
from gateway.repository.kinds.specs import folder_size, refused, tensors_of


def test_datatypes_get_the_names_of_the_protocol() -> None:
    specs = [TensorSpec("a", "TYPE_FP32", (-1, 2)), TensorSpec("b", "TYPE_STRING", None, optional=True)]
    assert tensors_of("input", specs) == (Tensor("a", "FP32", (-1, 2)), Tensor("b", "BYTES", UNKNOWN, optional=True))


def test_a_datatype_that_triton_cannot_carry_is_refused() -> None:
    with pytest.raises(ModelRefused, match=r"output 'y' of the model is torch\.complex64, which Triton cannot carry"):
        tensors_of("output", [TensorSpec("y", "torch.complex64", (1,))])


@pytest.mark.parametrize(
    ("said", "shown"),
    [("the file is empty", "'net.pt': the file is empty"), ("'net.pt' is cut short", "'net.pt' is cut short")],
)
def test_what_a_backend_refuses_is_refused_by_name(said: str, shown: str) -> None:
    with pytest.raises(ModelRefused) as refusal, refused(Path("/drops/net.pt")):
        raise LoadError(said)
    assert refusal.value.message == shown


def test_the_size_of_a_folder_is_that_of_all_files_below(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below/file").write_bytes(b"12345")
    (tmp_path / "file").write_bytes(b"12345")
    assert folder_size(tmp_path) == 10

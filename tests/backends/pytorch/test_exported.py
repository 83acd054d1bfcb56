from pathlib import Path

import pytest

pytest.importorskip("torch", reason="install the extra 'pytorch'")

import torch

from backends.common.errors import LoadError
from backends.common.signature import Signature, TensorSpec
from backends.pytorch.exported import open_program, signature
from tests.backends.pytorch.torch_modules import Exported, Pair
from tests.backends.sample_models import exported_program

BATCH = torch.export.Dim("batch")


def test_the_signature_has_dynamic_dimensions_and_the_keys_of_the_result(tmp_path: Path) -> None:
    arguments = (torch.zeros(2, 3), 2, torch.ones(3))
    path = exported_program(tmp_path / "model.pt2", Exported(), arguments, ({0: BATCH}, None, None))
    assert signature(open_program(torch, path)) == Signature(
        (TensorSpec("x", "TYPE_FP32", (-1, 3)), TensorSpec("offset", "TYPE_FP32", (3,))),
        (TensorSpec("y", "TYPE_FP32", (-1, 3)), TensorSpec("rounded", "TYPE_INT32", (-1, 3))),
    )


def test_results_without_names_are_numbered(tmp_path: Path) -> None:
    path = exported_program(tmp_path / "net.bin.pt2", Pair(), ((torch.zeros(2), torch.zeros(2)),))
    found = signature(open_program(torch, path.rename(tmp_path / "net.bin")))
    assert [spec.name for spec in found.outputs] == ["OUTPUT__0", "OUTPUT__1"]
    assert [spec.shape for spec in found.inputs] == [(2,), (2,)]


def test_a_damaged_file_is_a_load_error_of_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model.pt2").write_bytes(b"nonsense")
    with pytest.raises(LoadError, match=r"'model\.pt2' cannot be opened as an exported program; .* another version"):
        open_program(torch, tmp_path / "model.pt2")
    assert "Traceback" not in capfd.readouterr().err

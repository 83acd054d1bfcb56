import zipfile
from pathlib import Path

import pytest

from backends.common.errors import LoadError
from backends.pytorch.archive import archive_kind


def archive(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(f"model/{name}", b"")
    return path


def test_the_formats_are_told_apart_by_what_is_inside(tmp_path: Path) -> None:
    assert archive_kind(archive(tmp_path / "a", "data.pkl", "constants.pkl", "code/__torch__.py")) == "torchscript"
    assert archive_kind(archive(tmp_path / "b", "models/model.json", "archive_format")) == "exported"


def test_real_files(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="install the extra 'pytorch'")
    from tests.backends.sample_models import exported_program, torchscript  # noqa: PLC0415 - needs PyTorch

    linear = torch.nn.Linear(2, 2)
    assert archive_kind(torchscript(tmp_path / "model.pt", linear)) == "torchscript"
    assert archive_kind(exported_program(tmp_path / "model.pt2", linear, (torch.zeros(1, 2),))) == "exported"
    torch.save(linear.state_dict(), tmp_path / "weights.pt")
    with pytest.raises(LoadError, match=r"'weights\.pt' is a checkpoint of torch\.save, which holds no program"):
        archive_kind(tmp_path / "weights.pt")


def test_a_package_of_aotinductor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"compiled by AOTInductor, .* torch\.export\.save instead"):
        archive_kind(archive(tmp_path / "model.pt2", "data/aotinductor/model/x.so", "archive_format"))


@pytest.mark.parametrize("content", [b"nonsense", b"PK\x03\x04 cut"])
def test_anything_else_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.pt").write_bytes(content)
    with pytest.raises(LoadError, match=r"'model\.pt' is neither TorchScript nor an exported program, or it is cut"):
        archive_kind(tmp_path / "model.pt")

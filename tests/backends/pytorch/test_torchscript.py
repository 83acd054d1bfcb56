from pathlib import Path

import pytest

pytest.importorskip("torch", reason="install the extra 'pytorch'")

import torch

from backends.common.errors import LoadError
from backends.pytorch.naming import Argument
from backends.pytorch.torchscript import arguments, open_module
from tests.backends.pytorch.torch_modules import Affine, Features, Nested, Words
from tests.backends.sample_models import torchscript


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (Affine(), [Argument("x", "Tensor"), Argument("scale", "int"), Argument("bias", "Tensor", required=False)]),
        (Features(), [Argument("features", "Dict[str, Tensor]")]),
        (Words(), [Argument("words", "List[str]")]),
    ],
)
def test_the_arguments_of_forward(tmp_path: Path, module: torch.nn.Module, expected: list[Argument]) -> None:
    assert arguments(open_module(torch, torchscript(tmp_path / "model.pt", module), "cpu")) == expected


def test_an_argument_that_no_tensor_feeds_is_named(tmp_path: Path) -> None:
    module = open_module(torch, torchscript(tmp_path / "model.pt", Nested()), "cpu")
    with pytest.raises(LoadError, match=r"argument 'tensors' of forward is List\[Tensor\]; it must be a Tensor"):
        arguments(module)


def test_a_damaged_file_is_a_load_error_of_one_line(tmp_path: Path) -> None:
    path = torchscript(tmp_path / "model.pt", Affine())
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(LoadError, match=r"'model\.pt' cannot be opened as TorchScript: ") as caught:
        open_module(torch, path, "cpu")
    assert "\n" not in str(caught.value)

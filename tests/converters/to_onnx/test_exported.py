from pathlib import Path

import numpy as np
import pytest
import torch

from converters.errors import BadSource, ConfigError, Unsupported
from converters.graph.signature import signature_of
from converters.to_onnx.exported import OnnxFromExported, input_names, open_program, output_names
from converters.to_onnx.frameworks import quiet
from converters.to_onnx.simplify import SimplifiedFromOnnx
from tests.converters.framework_models import answers
from tests.converters.torch_models import Decomposing, Pair, Weighted


def export(path: Path, module: torch.nn.Module, *args: torch.Tensor, dynamic: bool = True) -> Path:
    shapes = tuple({0: torch.export.Dim("rows")} for _ in args)
    with quiet():
        program = torch.export.export(module.eval(), args, dynamic_shapes=shapes if dynamic else None)
        torch.export.save(program, str(path))
    return path


@pytest.fixture(scope="module")
def weighted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("pt2") / "model.pt2", Weighted(), torch.ones(2, 4), torch.ones(2, 3))


def test_the_onnx_gives_what_the_program_gives_for_any_batch(weighted: Path) -> None:
    model = SimplifiedFromOnnx(OnnxFromExported(weighted))()
    assert signature_of(model).batches
    for batch in (1, 3):
        x, mask = torch.randn(batch, 4), torch.randn(batch, 3)
        with torch.no_grad():
            expected = Weighted()(x, mask)
        found = answers(model, {"x": x.numpy(), "mask": mask.numpy()})
        assert list(found) == ["scores", "sums"]
        np.testing.assert_allclose(found["scores"], expected["scores"].numpy(), atol=1e-6)


def test_names_of_inputs_and_outputs(weighted: Path) -> None:
    program = open_program(weighted)
    assert input_names(program) == ["x", "mask"]
    assert output_names(program) == ["scores", "sums"]
    assert [t.name for t in signature_of(OnnxFromExported(weighted, ("a", "b"))()).outputs] == ["a", "b"]
    with pytest.raises(ConfigError, match="1 output names"):
        OnnxFromExported(weighted, ("a",))()


def test_a_fixed_batch_stays_fixed(tmp_path: Path) -> None:
    file = export(tmp_path / "model.pt2", Pair(), torch.ones(2, 4), dynamic=False)
    model = SimplifiedFromOnnx(OnnxFromExported(file))()
    assert [t.shape for t in (*signature_of(model).inputs, *signature_of(model).outputs)] == [(2, 4)] * 3


def test_operators_without_a_counterpart_are_named(tmp_path: Path) -> None:
    file = export(tmp_path / "svd.pt2", Decomposing(), torch.ones(2, 3, 3))
    with pytest.raises(Unsupported, match=r"^svd\.pt2, exported program to ONNX, node .*svd") as caught:
        OnnxFromExported(file)()
    assert "ONNX has no operator for aten._linalg_svd" in caught.value.what


def test_a_damaged_file_is_told(tmp_path: Path, weighted: Path) -> None:
    cut = tmp_path / "cut.pt2"
    cut.write_bytes(weighted.read_bytes()[:2000])
    for path in (cut, tmp_path / "none.pt2"):
        with pytest.raises(BadSource, match="cannot be opened as an exported program"):
            OnnxFromExported(path)()

from pathlib import Path

import numpy as np
import pytest
import torch

from converters.errors import BadData, BadSource, Unsupported
from converters.graph.opset import opset_of
from converters.graph.signature import signature_of
from converters.to_onnx.frameworks import quiet
from converters.to_onnx.simplify import SimplifiedFromOnnx
from converters.to_onnx.torchscript import OnnxFromTorchScript
from tests.converters.framework_models import answers
from tests.converters.torch_models import Decomposing, Listing, Looping, Pair, Weighted

SAMPLE = {"x": np.ones((1, 4), np.float32)}


def script(path: Path, module: torch.nn.Module) -> Path:
    with quiet():
        torch.jit.save(torch.jit.script(module.eval()), str(path))
    return path


def test_loops_and_branches_are_kept_for_any_batch(tmp_path: Path) -> None:
    model = SimplifiedFromOnnx(
        OnnxFromTorchScript(script(tmp_path / "model.pt", Looping()), SAMPLE, dynamic={"x": {1: "steps"}})
    )()
    assert opset_of(model) == 18
    assert [str(each) for each in signature_of(model).inputs] == ["x: FP32 [batch, steps]"]
    for batch, steps in ((1, 4), (3, 7)):
        x = torch.randn(batch, steps)
        np.testing.assert_allclose(answers(model, {"x": x.numpy()})["output"], Looping()(x).numpy(), atol=1e-5)


def test_several_outputs_are_named(tmp_path: Path) -> None:
    file = script(tmp_path / "model.pt", Pair())
    assert [t.name for t in signature_of(OnnxFromTorchScript(file, SAMPLE)()).outputs] == ["output_0", "output_1"]
    named = OnnxFromTorchScript(lambda: file, SAMPLE, outputs=("double", "running"))()
    assert list(answers(named, {"x": np.ones((3, 4), np.float32)})) == ["double", "running"]


def test_a_dictionary_is_refused_with_the_way_out(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = script(tmp_path / "model.pt", Weighted())
    with pytest.raises(Unsupported, match=r"prim::DictConstruct.*return a tuple of tensors instead"):
        OnnxFromTorchScript(file, {"mask": np.ones((2, 3), np.float32), "x": np.ones((2, 4), np.float32)})()
    assert capfd.readouterr() == ("", "")


def test_operators_without_a_counterpart_are_named(tmp_path: Path) -> None:
    file = script(tmp_path / "svd.pt", Decomposing())
    with pytest.raises(Unsupported, match=r"svd\.pt, TorchScript to ONNX, node aten::\w*svd: .*no operator for aten::"):
        OnnxFromTorchScript(file, {"x": np.ones((2, 3, 3), np.float32)})()


def test_results_that_are_no_tensors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="result 0 of the model is a int"):
        OnnxFromTorchScript(script(tmp_path / "model.pt", Listing()), SAMPLE)()


def test_a_sample_is_needed_and_must_fit(tmp_path: Path) -> None:
    file = script(tmp_path / "model.pt", Weighted())
    with pytest.raises(BadData, match="there is no sample of its inputs"):
        OnnxFromTorchScript(file, None)()
    with pytest.raises(BadData, match=r"does not take the input \(x \[1, 9\], mask \[1, 3\]\)"):
        OnnxFromTorchScript(file, {"x": np.ones((1, 9), np.float32), "mask": np.ones((1, 3), np.float32)})()


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    cut = tmp_path / "cut.pt"
    cut.write_bytes(script(tmp_path / "model.pt", Pair()).read_bytes()[:500])
    for path in (cut, tmp_path / "none.pt"):
        with pytest.raises(BadSource, match="cannot be opened as TorchScript"):
            OnnxFromTorchScript(path, SAMPLE)()

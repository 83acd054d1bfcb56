import numpy as np
import pytest
import torch

from converters.errors import BadData
from converters.originals.base import ExportOptions
from converters.originals.torchscript import TorchScriptOriginal
from converters.to_onnx.frameworks import quiet
from tests.converters.framework_models import answers
from tests.converters.torch_models import Looping


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> TorchScriptOriginal:
    path = tmp_path_factory.mktemp("script") / "model.pt"
    with quiet():
        torch.jit.save(torch.jit.script(Looping()), str(path))
    return TorchScriptOriginal(path)


def test_the_runner_and_the_onnx_agree_on_names_and_values(original: TorchScriptOriginal) -> None:
    options = ExportOptions(sample={"x": np.ones((2, 4), np.float32)}, outputs=("total",))
    model, runner = original.to_onnx(options), original.runner(options)
    for batch in (1, 3):
        x = np.random.default_rng(batch).normal(size=(batch, 4)).astype(np.float32)
        expected, found = runner.run({"x": x}), answers(model, {"x": x})
        assert list(expected) == list(found) == ["total"]
        np.testing.assert_allclose(found["total"], expected["total"], atol=1e-5)
    runner.close()


def test_without_data_it_cannot_be_exported_but_run(original: TorchScriptOriginal) -> None:
    with pytest.raises(BadData, match="there is no sample of its inputs \\('x'\\)"):
        original.to_onnx(ExportOptions())
    assert list(original.runner(ExportOptions()).run({"x": np.ones((2, 4), np.float32)})) == ["output"]

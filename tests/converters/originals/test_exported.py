from pathlib import Path

import numpy as np
import torch

from converters.originals.base import ExportOptions
from converters.originals.exported import ExportedOriginal
from converters.to_onnx.frameworks import quiet
from tests.converters.framework_models import answers
from tests.converters.torch_models import Weighted


def test_the_runner_and_the_onnx_agree_on_names_and_values(tmp_path: Path) -> None:
    batch = torch.export.Dim("batch")
    with quiet():
        program = torch.export.export(
            Weighted().eval(),
            (torch.ones(2, 4),),
            {"mask": torch.ones(2, 3)},  # one argument by position, one by keyword
            dynamic_shapes={"x": {0: batch}, "mask": {0: batch}},
        )
        torch.export.save(program, str(tmp_path / "model.pt2"))
    original, options = ExportedOriginal(tmp_path / "model.pt2"), ExportOptions(outputs=("a", "b"))
    model, runner = original.to_onnx(options), original.runner(options)
    generator = np.random.default_rng(0)
    for rows in (1, 3):
        feeds = {"x": generator.random((rows, 4), np.float32), "mask": generator.random((rows, 3), np.float32)}
        expected, found = runner.run(feeds), answers(model, feeds)
        assert list(expected) == list(found) == ["a", "b"]
        np.testing.assert_allclose(found["a"], expected["a"], atol=1e-6)
    runner.close()

"""Each backend computes on the GPU that its instance is given."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends.common.config import parse_config
from backends.common.placement import Placement
from backends.common.signature import complete

pytestmark = pytest.mark.gpu

GPU = Placement("GPU", 0)


def completed(backend: Any, folder: Path, **keys: Any) -> Any:
    raw: dict[str, Any] = {"name": "m", "max_batch_size": 0, "input": [], "output": [], **keys}
    return parse_config({**raw, **complete(raw, backend.inspect(folder, raw))})


def test_onnx_runtime(tmp_path: Path) -> None:
    ort = pytest.importorskip("onnxruntime", reason="install onnxruntime-gpu")
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        pytest.skip("this onnxruntime has no CUDA support: install onnxruntime-gpu")
    from backends.onnxruntime import session  # noqa: PLC0415 - after the skip
    from tests.backends.sample_models import onnx_gather  # noqa: PLC0415

    onnx_gather(tmp_path / "model.onnx")
    model = session.load(tmp_path, completed(session, tmp_path), GPU)
    assert model.run({"index": np.array([[3]])}, ["picked"])["picked"].tolist() == [[3]]


@pytest.mark.parametrize("exported", [False, True], ids=["torchscript", "exported"])
def test_pytorch(tmp_path: Path, exported: bool) -> None:
    torch = pytest.importorskip("torch", reason="install the extra 'pytorch'")
    if not torch.cuda.is_available():
        pytest.skip("torch.cuda sees no GPU")
    from backends.pytorch import program  # noqa: PLC0415 - after the skip
    from tests.backends.sample_models import exported_program, torchscript  # noqa: PLC0415

    linear = torch.nn.Linear(3, 2)
    tensors = {"dims": [-1, 3], "data_type": "TYPE_FP32"}, {"dims": [-1, 2], "data_type": "TYPE_FP32"}
    keys = {"input": [{"name": "input", **tensors[0]}], "output": [{"name": "OUTPUT__0", **tensors[1]}]}
    path = tmp_path / ("model.pt2" if exported else "model.pt")
    if exported:
        exported_program(path, linear, (torch.zeros(2, 3),), ({0: torch.export.Dim("batch")},))
    else:
        torchscript(path, linear)
    config = parse_config({"name": "m", "default_model_filename": path.name, **keys})
    model = program.load(tmp_path, config, GPU)
    x = np.random.default_rng(0).random((4, 3), np.float32)
    expected = linear(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(model.run({"input": x}, ["OUTPUT__0"])["OUTPUT__0"], expected, rtol=1e-3)
    assert torch.cuda.memory_allocated(0) > 0


def test_tensorflow(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow", reason="install a CUDA build of tensorflow")
    if not tf.config.list_physical_devices("GPU"):
        pytest.skip("TensorFlow sees no GPU")
    from backends.tensorflow import saved_model  # noqa: PLC0415 - after the skip
    from tests.backends.sample_models import saved_model as write  # noqa: PLC0415

    write(tmp_path / "model.savedmodel", {"serving_default": (lambda x: {"y": x * 2.0}, {"x": ([None], tf.float32)})})
    raw = {"name": "m", "max_batch_size": 0, "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [-1]}]}
    config = parse_config({**raw, "output": [{"name": "y", "data_type": "TYPE_FP32", "dims": [-1]}]})
    model = saved_model.load(tmp_path, config, GPU)
    assert model.run({"x": np.array([1.5], np.float32)}, ["y"])["y"].tolist() == [3]

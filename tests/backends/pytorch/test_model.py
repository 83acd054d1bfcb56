import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from backends.common.fake import FakeModelConfig, FakeModelError, FakePythonBackend

MODEL_PY = Path(__file__).parents[3] / "backends" / "pytorch" / "model.py"


@pytest.fixture
def model_py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`model.py` as Triton runs it: on its own, for a model whose version folder is empty."""
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", FakePythonBackend(tmp_path))
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec = importlib.util.spec_from_file_location("model", MODEL_PY)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_finds_its_package_wherever_the_folder_was_copied(model_py: ModuleType) -> None:
    assert sys.path[0] == str(MODEL_PY.parents[2])
    assert model_py.__name__ == "model"


def test_the_four_entry_points_reach_the_backend(model_py: ModuleType) -> None:
    missing = "'model.pt' is missing in version .*, which holds nothing"
    with pytest.raises(FakeModelError, match=missing):
        model_py.TritonPythonModel.auto_complete_config(FakeModelConfig({"name": "m"}))
    model = model_py.TritonPythonModel()
    with pytest.raises(FakeModelError, match=missing):
        model.initialize({"model_config": json.dumps({"name": "m"})})
    assert callable(model.execute)
    assert callable(model.finalize)

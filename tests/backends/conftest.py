"""The entry points of the backends, without Triton."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from backends.common.fake import FakePythonBackend

BACKENDS = Path(__file__).parents[2] / "backends"


@pytest.fixture
def model_py(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The `model.py` beside the test's own, as Triton runs it: alone, for a model whose version folder is empty."""
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", FakePythonBackend(tmp_path))
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec = importlib.util.spec_from_file_location("model", BACKENDS / request.path.parent.name / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

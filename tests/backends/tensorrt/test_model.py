import json
import sys
from types import ModuleType

import pytest

from backends.common.fake import FakeModelConfig, FakeModelError
from tests.backends.conftest import BACKENDS


def test_it_finds_its_package_wherever_the_folder_was_copied(model_py: ModuleType) -> None:
    assert sys.path[0] == str(BACKENDS.parent)
    assert model_py.__name__ == "model"


def test_the_four_entry_points_reach_the_backend(model_py: ModuleType) -> None:
    missing = "'model.plan' is missing in version .*, which holds nothing"
    with pytest.raises(FakeModelError, match=missing):
        model_py.TritonPythonModel.auto_complete_config(FakeModelConfig({"name": "m"}))
    model = model_py.TritonPythonModel()
    with pytest.raises(FakeModelError, match=missing):
        model.initialize({"model_config": json.dumps({"name": "m"}), "model_instance_kind": "GPU"})
    assert callable(model.execute)
    assert callable(model.finalize)

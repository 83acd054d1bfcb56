from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.handwritten import parse
from gateway.repository.kinds.python_stub import ModelConfig, complete

TENSOR = {"name": "X", "data_type": "TYPE_FP32", "dims": [2]}


def empty() -> ModelConfig:
    return ModelConfig({"name": "model", "max_batch_size": 0, "input": [], "output": []})


@pytest.fixture
def version(tmp_path: Path) -> Path:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "model.py").write_text("class TritonPythonModel: ...")
    return tmp_path / "1"


def test_what_was_configured_and_what_the_code_adds_are_one(version: Path) -> None:
    (version / "model.py").write_text(
        "import triton_python_backend_utils as pb_utils\n"
        "class TritonPythonModel:\n"
        "    @staticmethod\n"
        "    def auto_complete_config(config):\n"
        "        pb_utils.Logger.log_info('completing')\n"
        "        assert [each['name'] for each in config.as_dict()['input']] == ['A']\n"
        "        config.add_input({'name': 'A', 'data_type': 'TYPE_FP32', 'dims': [3]})\n"
        "        config.add_output({'name': 'B', 'data_type': 'TYPE_FP32', 'dims': [1]})\n"
        "        return config\n"
    )
    completed = complete(version, parse('input { name: "A" } max_batch_size: 2'))
    assert completed["input"] == [{"name": "A", "data_type": "TYPE_FP32", "dims": [3]}]
    assert completed["output"] == [{"name": "B", "data_type": "TYPE_FP32", "dims": [1]}]
    assert completed["max_batch_size"] == 2


def test_nothing_of_the_model_stays_imported(version: Path) -> None:
    (version / "helper_of_the_model.py").write_text("")
    (version / "model.py").write_text("import helper_of_the_model\nclass TritonPythonModel: ...")
    before, path = set(sys.modules), list(sys.path)
    complete(version, None)
    assert "helper_of_the_model" not in set(sys.modules) - before
    assert "1.model" not in sys.modules
    assert "triton_python_backend_utils" in before or "triton_python_backend_utils" not in sys.modules
    assert sys.path == path


def test_a_model_without_the_method_adds_nothing(version: Path) -> None:
    assert complete(version, None)["input"] == []


def test_a_failure_tells_where_it_was(version: Path) -> None:
    (version / "model.py").write_text(
        "class TritonPythonModel:\n    @staticmethod\n    def auto_complete_config(config):\n        1 / 0\n"
    )
    with pytest.raises(ModelRefused, match=r"auto_complete_config fails: ZeroDivisionError: .* \(model\.py line 4\)"):
        complete(version, None)


@pytest.mark.parametrize(
    ("tensor", "reason"),
    [
        ({"name": "X", "dims": [1]}, "lacks 'data_type'"),
        ({**TENSOR, "shape": [1]}, r"must not have \['shape'\]"),
        ({**TENSOR, "optional": True}, r"must not have \['optional'\]"),
        ({**TENSOR, "data_type": "TYPE_INT8"}, "has data_type TYPE_FP32 in config.pbtxt, not TYPE_INT8"),
        ({**TENSOR, "dims": [5]}, r"has dims \[2\] in config.pbtxt, not \[5\]"),
    ],
)
def test_the_mistakes_that_triton_refuses_are_refused(tensor: dict[str, Any], reason: str) -> None:
    config = empty()
    config.add_output(dict(TENSOR))
    with pytest.raises(ValueError, match=reason):
        config.add_output(tensor)


def test_batches_and_schedulers_do_not_contradict_the_configuration() -> None:
    config = empty()
    config.set_max_batch_size(8)
    with pytest.raises(ValueError, match="max_batch_size 8, above 4"):
        config.set_max_batch_size(4)
    config.set_dynamic_batching()
    assert config.as_dict()["dynamic_batching"] == {}
    with pytest.raises(ValueError, match="sequence_batching"):
        ModelConfig({**config.as_dict(), "sequence_batching": {}}).set_dynamic_batching()
    with pytest.raises(ValueError, match="decoupeld"):
        config.set_model_transaction_policy({"decoupeld": True})

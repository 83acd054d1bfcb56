from pathlib import Path

import numpy as np
import pytest

from converters.arrays import Feeds
from converters.errors import BadSource, ConfigError, ConversionError
from converters.originals.base import ExportOptions
from converters.originals.factory import factory, kind_of
from tests.converters.framework_models import ROWS, answers

SOURCE = """
import numpy as np

ROWS = np.random.default_rng(7).normal(size=(60, 4)).astype("float32")
CLASSES = (ROWS[:, 0] > 0).astype(int)

def module():
    import torch
    torch.manual_seed(1)
    return torch.nn.Linear(4, 2)

def estimator():
    from sklearn.tree import DecisionTreeClassifier
    return DecisionTreeClassifier(max_depth=3).fit(ROWS, CLASSES)

def boosted():
    import xgboost
    return xgboost.XGBRegressor(n_estimators=3).fit(ROWS, ROWS[:, 1])

def light():
    import lightgbm
    matrix = lightgbm.Dataset(ROWS, label=CLASSES)
    return lightgbm.train({"objective": "binary", "verbosity": -1, "min_data_in_leaf": 3}, matrix, 3)

def graph():
    from tests.converters.framework_models import onnx_model
    return onnx_model()

def number():
    return 3

def failing():
    raise OSError("no weights here")

def with_weights():
    return module()

with_weights.depends = ["weights.bin"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "zoo.py").write_text(SOURCE)
    return tmp_path / "zoo.py"


INPUTS: dict[str, Feeds] = {
    "module": {"input": ROWS},
    "estimator": {"input": ROWS},
    "boosted": {"input": ROWS},
    "light": {"input": ROWS},
    "graph": {"x": ROWS[:, :3]},
}


@pytest.mark.parametrize("function", INPUTS)
def test_what_a_function_makes_is_run_and_converted(file: Path, function: str) -> None:
    original = factory(f"{file}:{function}")
    assert (original.kind, original.name, original.version) == ("factory", f"zoo:{function}", None)
    options = ExportOptions(sample=INPUTS[function] if function == "module" else None)
    runner, model = original.runner(options), original.to_onnx(options)
    expected, found = runner.run(INPUTS[function]), answers(model, INPUTS[function])
    assert list(expected) == list(found)
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, atol=1e-5)
    runner.close()


def test_a_function_of_a_module_is_found() -> None:
    original = factory("tests.converters.framework_models:onnx_model")
    assert original.path.name == "framework_models.py"
    assert kind_of(original.make()) == "onnx"
    assert original.name == "tests.converters.framework_models:onnx_model"


def test_the_digest_covers_file_function_and_what_it_depends_on(file: Path) -> None:
    weights, other = file.parent / "weights.bin", file.parent / "other.bin"
    weights.write_bytes(b"1")
    other.write_bytes(b"1")
    digests = {
        factory(f"{file}:module").digest,
        factory(f"{file}:number").digest,
        factory(f"{file}:with_weights").digest,
        factory(f"{file}:with_weights", (other,)).digest,
    }
    weights.write_bytes(b"2")
    digests.add(factory(f"{file}:with_weights").digest)
    other.write_bytes(b"2")
    digests.add(factory(f"{file}:with_weights", (other,)).digest)
    file.write_text(SOURCE + "\n# changed\n")
    digests.add(factory(f"{file}:module").digest)
    assert len(digests) == 7
    weights.unlink()
    with pytest.raises(BadSource, match=r"weights\.bin', which with_weights depends on, is not there"):
        _ = factory(f"{file}:with_weights").digest


def test_what_cannot_be_converted_is_told(file: Path) -> None:
    with pytest.raises(BadSource, match=r"zoo:number: number\(\) returns a int; return an nn\.Module"):
        factory(f"{file}:number").make()
    with pytest.raises(ConversionError, match=r"zoo\.py:\d+ with OSError: no weights here"):
        factory(f"{file}:failing").to_onnx(ExportOptions())
    with pytest.raises(ConfigError, match="no function 'modul'; did you mean 'module'"):
        factory(f"{file}:modul").make()


@pytest.mark.parametrize("reference", ["none.py:make", "no_such_module:make", "no.such.module:make", ":make"])
def test_a_reference_to_nothing_is_told(reference: str) -> None:
    with pytest.raises(BadSource, match="there is no"):
        factory(reference)

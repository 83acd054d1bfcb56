from pathlib import Path

import pytest

from converters.originals.base import ExportOptions, Original
from converters.originals.exported import ExportedOriginal
from converters.originals.factory import FactoryOriginal
from converters.originals.keras import KerasOriginal
from converters.originals.lightgbm import LightGBMOriginal
from converters.originals.onnx import OnnxOriginal
from converters.originals.saved_model import SavedModelOriginal
from converters.originals.scikit_learn import ScikitLearnOriginal
from converters.originals.torchscript import TorchScriptOriginal
from converters.originals.xgboost import XGBoostOriginal

PATH = Path("model")
ORIGINALS: list[Original] = [
    SavedModelOriginal(PATH),
    KerasOriginal(PATH),
    OnnxOriginal(PATH),
    TorchScriptOriginal(PATH),
    ExportedOriginal(PATH),
    ScikitLearnOriginal(PATH),
    XGBoostOriginal(PATH),
    LightGBMOriginal(PATH),
    FactoryOriginal(PATH, "make"),
]


@pytest.mark.parametrize("original", ORIGINALS, ids=lambda original: original.kind)
def test_an_original_says_what_and_where_it_is(original: Original) -> None:
    assert original.path == PATH
    assert original.version is None
    assert original.name.startswith("model")


def test_kinds_are_told_apart() -> None:
    assert len({original.kind for original in ORIGINALS}) == len(ORIGINALS)


def test_options_leave_all_to_the_exporter() -> None:
    options = ExportOptions()
    assert (options.opset, options.sample, options.outputs) == (None, None, ())
    assert options.signature == "serving_default"

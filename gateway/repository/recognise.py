"""Which kind of model a dropped file or folder is.

The two lists are all that there is to serve. A new kind is one file in `kinds/` and one entry here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gateway.core.errors import ModelRefused
from gateway.repository.kinds.base import Kind, Wrapper
from gateway.repository.kinds.exported import ExportedKind
from gateway.repository.kinds.keras import KerasKind
from gateway.repository.kinds.lightgbm import LightGBMKind
from gateway.repository.kinds.mlflow import MlflowWrapper
from gateway.repository.kinds.onnx import OnnxKind
from gateway.repository.kinds.openvino import OpenVINOKind
from gateway.repository.kinds.pickles import PickleKind
from gateway.repository.kinds.plan import PlanKind
from gateway.repository.kinds.python import PythonKind
from gateway.repository.kinds.savedmodel import SavedModelKind
from gateway.repository.kinds.skops import SkopsKind
from gateway.repository.kinds.torchscript import TorchScriptKind
from gateway.repository.kinds.torchserve import TorchServeWrapper
from gateway.repository.kinds.treelite import TreeliteKind
from gateway.repository.kinds.triton import TritonKind
from gateway.repository.kinds.xgboost import XGBoostKind
from gateway.repository.unrecognised import explain

WRAPPERS: tuple[Wrapper, ...] = (MlflowWrapper(), TorchServeWrapper())

KINDS: tuple[Kind, ...] = (
    OnnxKind(),
    SavedModelKind(),
    KerasKind(),
    TorchScriptKind(),
    ExportedKind(),
    XGBoostKind(),
    LightGBMKind(),
    SkopsKind(),
    TreeliteKind(),
    PlanKind(),
    OpenVINOKind(),
    PythonKind(),
    TritonKind(),
    PickleKind(),
)


def recognise(source: Path, known: Sequence[Kind | Wrapper] = (*WRAPPERS, *KINDS)) -> Kind | Wrapper:
    """The kind of a model, or of what it is wrapped in; by names and first bytes, so it is quick.

    Args:
        source: a file or folder.
        known: what it may be; the first that recognises it is taken.

    Raises:
        ModelRefused: it is none of them; the message says what is near and what can be dropped.
    """
    for each in known:
        if each.recognise(source):
            return each
    raise ModelRefused(explain(source, known))

"""Tree models: opened, checked and run by Treelite; numpy in, numpy out.

Treelite reads the files of XGBoost and LightGBM and its own checkpoints, and runs them all in the same few MiB, so
neither framework is imported here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backends.common.config import ModelConfig, parse_parameters
from backends.common.datatypes import Array
from backends.common.errors import LoadError, RequestError, one_line
from backends.common.files import model_path
from backends.common.frameworks import import_framework
from backends.common.placement import Placement
from backends.common.signature import Signature, TensorSpec
from backends.common.threads import usable_cores
from backends.fil.settings import ForestSettings, threads

# The native backend knows its tensors by these names only.
_INPUT = "input__0"
_OUTPUT = "output__0"

# Treelite divides the rows among its threads; to wake one for fewer takes longer than it saves.
_ROWS_PER_THREAD = 8

_BINARY_CLASSIFIER = 0  # of Treelite's `task_type`

# What Treelite puts before a message: the time, its source file, and the C++ expression that failed.
_NOISE = re.compile(r"^\[[\d:]+\] \S+: (?:Check failed: .*?: )?")


def inspect(folder: Path, raw: Mapping[str, Any]) -> Signature:
    """The signature of the model in `folder`."""
    settings = ForestSettings.read(parse_parameters(raw), str(raw.get("default_model_filename", "")), folder)
    return _signature(_open(folder, settings), settings, _last_size(raw.get("output", [])))


def load(folder: Path, config: ModelConfig, placement: Placement) -> ForestModel:
    """The model in `folder`, checked against its configuration and ready to run."""
    _refuse_shap(config)
    placement.gpu(0, missing="this backend runs trees on the CPU only, take KIND_AUTO to share a configuration")
    settings = ForestSettings.read(config.parameters, config.filename, folder)
    forest = _open(folder, settings)
    configured = config.outputs[0].shape if config.outputs else ()
    signature = _signature(forest, settings, configured[-1] if configured else None)
    signature.check(config)
    return ForestModel(forest, settings, signature, threads(config, usable_cores()))


@dataclass(frozen=True, slots=True)
class Forest:
    """A model of Treelite's.

    Attributes:
        treelite: the module.
        model: its model.
        features: of a row.
        targets: how many answers a row gets.
        classes: scores of each target; 1 for regression, ranking, and most binary classifiers.
        binary: whether its one score is the probability of a class.
    """

    treelite: Any
    model: Any
    features: int
    targets: int
    classes: int
    binary: bool


class ForestModel:
    """A forest with what it is to answer."""

    shared: frozenset[str] = frozenset()
    scalars: frozenset[str] = frozenset()

    def __init__(self, forest: Forest, settings: ForestSettings, signature: Signature, nthread: int) -> None:
        self._predict = forest.treelite.gtil.predict
        self._model = forest.model
        self._features = forest.features
        self._settings = settings
        self._shape = (signature.outputs[0].shape or ())[1:]
        self._nthread = nthread

    def run(self, inputs: Mapping[str, Array], outputs: Collection[str]) -> dict[str, Array]:
        """Score the rows of `input__0`."""
        rows = inputs[_INPUT]
        if rows.ndim != 2 or rows.shape[1] != self._features:
            # Treelite trusts the number of columns, and reads past the end of the rows if it is wrong.
            message = f"'{_INPUT}' must have the shape [rows, {self._features}], not {list(rows.shape)}"
            raise RequestError(message, invalid=True)
        nthread = max(1, min(self._nthread, len(rows) // _ROWS_PER_THREAD))
        scores = self._predict(self._model, rows, nthread=nthread)
        answer = np.ascontiguousarray(self._answer(scores), np.float32).reshape(len(rows), *self._shape)
        return dict.fromkeys(outputs, answer)

    def close(self) -> None:
        """Release the trees."""
        self._model = None

    def _answer(self, scores: Array) -> Array:
        """Classes or scores, from the scores [rows, targets, classes]."""
        one_score = scores.shape[-1] == 1
        if self._settings.gives_class:
            return scores > self._settings.threshold if one_score else scores.argmax(axis=-1)
        if one_score and scores.shape[1] == 1 and self._shape == (2,):
            return np.concatenate([1 - scores, scores], axis=-1)
        return scores


def _open(folder: Path, settings: ForestSettings) -> Forest:
    treelite = import_framework("treelite", extra="trees", attribute="frontend")
    import_framework("treelite.gtil", extra="trees", attribute="predict")
    path = model_path(folder, settings.filename)
    try:
        model = _read(treelite, path, settings)
    except Exception as error:
        raise LoadError(
            f"'{path.name}' cannot be opened as a model of the type '{settings.model_type}': {_plain(error)}"
        ) from None
    header = model.get_header_accessor()
    targets, task = (int(header.get_field(name)[0]) for name in ("num_target", "task_type"))
    classes = int(max(header.get_field("num_class")))
    return Forest(treelite, model, int(model.num_feature), targets, classes, task == _BINARY_CLASSIFIER)


def _read(treelite: Any, path: Path, settings: ForestSettings) -> Any:
    match settings.model_type:
        case "lightgbm":
            return treelite.frontend.load_lightgbm_model(path)
        case "treelite_checkpoint":
            return treelite.Model.deserialize(path)
        case "xgboost" if not _is_document(path):
            return treelite.frontend.load_xgboost_model_legacy_binary(path)
        case model_type:
            formats = {"xgboost_json": "json", "xgboost_ubj": "ubjson"}
            return treelite.frontend.load_xgboost_model(
                path, format_choice=formats.get(model_type, "inspect"), allow_unknown_field=settings.allow_unknown_field
            )


def _is_document(path: Path) -> bool:
    """Whether it is JSON or UBJSON: what XGBoost writes today whatever the file's name."""
    with path.open("rb") as file:
        return file.read(1) == b"{"


def _signature(forest: Forest, settings: ForestSettings, configured: int | None) -> Signature:
    """The model's tensors; `configured` is the last of the output's `dims`, `None` where there are none."""
    return Signature(
        (TensorSpec(_INPUT, "TYPE_FP32", (-1, forest.features)),),
        (TensorSpec(_OUTPUT, "TYPE_FP32", (-1, *_answer_shape(forest, settings, configured))),),
    )


def _answer_shape(forest: Forest, settings: ForestSettings, configured: int | None) -> tuple[int, ...]:
    if settings.gives_class:
        return (forest.targets,)
    if forest.targets > 1:
        return (forest.targets, forest.classes) if forest.classes > 1 else (forest.targets,)
    asked_for_both = settings.predict_proba and (forest.binary or settings.is_classifier)
    if forest.classes == 1 and asked_for_both and configured != 1:
        return (2,)
    return (forest.classes,)


def _last_size(outputs: Sequence[Mapping[str, Any]]) -> int | None:
    dims = outputs[0].get("dims") if outputs else None
    return int(dims[-1]) if dims else None


def _refuse_shap(config: ModelConfig) -> None:
    if any(tensor.name == "treeshap_output" for tensor in config.outputs):
        raise LoadError("output 'treeshap_output': SHAP values are not supported; leave it out of config.pbtxt")


def _plain(error: Exception) -> str:
    return _NOISE.sub("", one_line(error))

"""What `config.pbtxt` says about a tree model, in the words of Triton's native FIL backend.

Source of the keys: `docs/model_config.md` of Triton's `fil_backend`, of releases before and after 25.09.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from backends.common.config import ModelConfig, Parameters
from backends.common.errors import LoadError
from backends.common.threads import share_of_cores

FILENAMES: Mapping[str, str] = MappingProxyType(
    {
        "xgboost": "xgboost.model",
        "xgboost_json": "xgboost.json",
        "xgboost_ubj": "xgboost.ubj",
        "lightgbm": "model.txt",
        "treelite_checkpoint": "checkpoint.tl",
    }
)
"""The default name of the model's file, by `model_type`."""

# What the native backend takes when nothing is said.
_DEFAULT_MODEL_TYPE = "xgboost"

# How the native backend lays out trees on a GPU: no matter here, but a wrong value would be one there.
_CHOICES = {
    "storage_type": ("AUTO", "DENSE", "SPARSE", "SPARSE8"),
    "algo": ("ALGO_AUTO", "NAIVE", "TREE_REORG", "BATCH_TREE_REORG"),
    "layout": ("depth_first", "breadth_first", "layered"),
}
_NUMBERS = ("blocks_per_sm", "threads_per_tree", "chunk_size", "transfer_threshold")


@dataclass(frozen=True, slots=True)
class ForestSettings:
    """What is answered, and from which file.

    Attributes:
        model_type: a key of `FILENAMES`.
        filename: of the model in the version folder.
        is_classifier: whether the answer is a class; the scores themselves if not.
        predict_proba: whether a classifier answers with the scores of all classes after all.
        threshold: the score above which a binary classifier answers 1.
        allow_unknown_field: whether XGBoost's files may hold fields that Treelite does not know.
    """

    model_type: str
    filename: str
    is_classifier: bool
    predict_proba: bool
    threshold: float
    allow_unknown_field: bool

    @property
    def gives_class(self) -> bool:
        """Whether the answer is the number of a class."""
        return self.is_classifier and not self.predict_proba

    @classmethod
    def read(cls, parameters: Parameters, filename: str, folder: Path) -> ForestSettings:
        """From the model's parameters and its `default_model_filename`, which may be empty.

        Without a `model_type` the one whose file lies in the version's folder is taken, which the native backend does
        not do.

        Raises:
            LoadError: a value is not valid.
        """
        _check_ignored(parameters)
        model_type = parameters.text("model_type") or _found_type(folder)
        if model_type not in FILENAMES:
            raise LoadError(_no_choice("model_type", model_type, FILENAMES))
        is_classifier = parameters.boolean("is_classifier")
        if is_classifier is None:
            is_classifier = parameters.boolean("output_class")
        return cls(
            model_type=model_type,
            filename=filename or FILENAMES[model_type],
            is_classifier=bool(is_classifier),
            predict_proba=bool(parameters.boolean("predict_proba")),
            threshold=_threshold(parameters),
            allow_unknown_field=bool(parameters.boolean("xgboost_allow_unknown_field")),
        )


def threads(config: ModelConfig, cores: int) -> int:
    """Threads of one prediction: `cpu_nthread`, or the instance's share of `cores` when that is absent, 0 or -1.

    Raises:
        LoadError: the value is not valid.
    """
    all_cores = config.parameters.text("cpu_nthread") == "-1"
    given = 0 if all_cores else config.parameters.integer("cpu_nthread", 0)
    return given or share_of_cores(config.instance_count, cores)


def _found_type(folder: Path) -> str:
    return next((name for name, file in FILENAMES.items() if (folder / file).is_file()), _DEFAULT_MODEL_TYPE)


def _threshold(parameters: Parameters) -> float:
    text = parameters.text("threshold")
    if text is None:
        return 0.5
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise LoadError(f"parameter 'threshold' must be a number such as 0.5, not '{text}'")
    return value


def _check_ignored(parameters: Parameters) -> None:
    for key, choices in _CHOICES.items():
        value = parameters.text(key)
        if value is not None and value not in choices:
            raise LoadError(_no_choice(key, value, choices))
    for key in _NUMBERS:
        parameters.integer(key, 0)
    parameters.boolean("use_experimental_optimizations")


def _no_choice(key: str, value: str, choices: Collection[str]) -> str:
    return f"parameter '{key}' must be one of {', '.join(choices)}, not '{value}'"

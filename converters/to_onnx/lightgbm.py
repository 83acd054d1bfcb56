"""LightGBM models to ONNX, by onnxmltools.

The input is `input`, float32 [rows, features]. Classifiers give `label` [rows] and `probabilities` [rows, classes];
regressors and rankers `prediction` [rows, 1]. What onnxmltools would convert into a model that answers otherwise than
LightGBM (random forests, linear leaves, zeros for missing values, scaled sigmoids, some objectives) is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from converters.errors import Unsupported
from converters.graph.opset import CLASSICAL, CLASSICAL_OPSET, DEFAULT_OPSET, declare_opsets
from converters.graph.outputs import rename_outputs
from converters.lazy import Source, value_of
from converters.to_onnx.frameworks import framework, one_line, quiet
from converters.to_onnx.tree_names import INPUT, free_rows

STEP = "LightGBM to ONNX"

_CLASSIFIERS = frozenset({"binary", "multiclass"})
_REGRESSORS = frozenset({
    "regression", "regression_l1", "huber", "quantile", "poisson", "gamma", "tweedie", "lambdarank", "rank_xendcg",
})  # fmt: skip

_ZERO_IS_MISSING = 1  # in bits 2 and 3 of a split's decision type


@dataclass(frozen=True, slots=True)
class OnnxFromLightGBM:
    """A booster, or a model of LightGBM's scikit-learn interface, as ONNX; trees up to the best iteration count.

    Attributes:
        model: the booster or model. Labels are those of the booster: 0, 1, ...
        opset: of the operators beside the trees'; None is the default.

    Raises:
        Unsupported: the booster or its objective has no counterpart.
        ToolMissing: LightGBM or onnxmltools is not installed.
    """

    model: Source[Any]
    opset: int | None = None

    def __call__(self) -> onnx.ModelProto:
        """Check, convert, name."""
        booster = booster_of(value_of(self.model))
        refuse_unfaithful(booster)
        onnxmltools = framework("onnxmltools", extra="convert", attribute="convert_lightgbm")
        try:
            with quiet():
                rows = onnxmltools.convert.common.data_types.FloatTensorType([None, booster.num_feature()])
                model: onnx.ModelProto = onnxmltools.convert_lightgbm(
                    with_float32_thresholds(booster), initial_types=[(INPUT, rows)], zipmap=False
                )
        except Exception as error:
            raise Unsupported(
                f"onnxmltools cannot convert the booster: {one_line(error)}", hint="train it with numeric features only"
            ).at(step=STEP) from None
        declare_opsets(model, {"": self.opset or DEFAULT_OPSET, CLASSICAL: CLASSICAL_OPSET})
        rename_outputs(model, {"variable": "prediction"})
        free_rows(model)
        return model


def booster_of(model: Any) -> Any:
    """The booster of a model of the scikit-learn interface, or the booster that was given."""
    return getattr(model, "booster_", model)


def with_float32_thresholds(booster: Any) -> Any:
    """The same booster for rows of float32, whose thresholds ONNX can hold.

    A row goes left where its value is at most the threshold. Rounded to the nearest float32, as onnxmltools does it, a
    threshold may come to lie above a value that was above it; rounded down, every float32 goes as it went.
    """
    lightgbm = framework("lightgbm", extra="trees", attribute="Booster")

    def rounded(line: re.Match[str]) -> str:
        exact = np.array(line[1].split(), np.float64)
        nearest = exact.astype(np.float32)
        below = np.where(nearest > exact, np.nextafter(nearest, np.float32(-np.inf)), nearest)
        return "threshold=" + " ".join(repr(float(each)) for each in below)

    text = re.sub(r"^threshold=(.*)$", rounded, booster.model_to_string(), flags=re.MULTILINE)
    # The sizes of the trees' texts are not those any more; without them LightGBM counts for itself.
    return lightgbm.Booster(model_str=re.sub(r"^tree_sizes=.*\n", "", text, flags=re.MULTILINE))


def is_classifier(booster: Any) -> bool:
    """Whether it answers with classes and their probabilities."""
    return _objective(booster)[:1] in [[name] for name in _CLASSIFIERS]


def refuse_unfaithful(booster: Any) -> None:
    """Refuse what onnxmltools would convert into something else.

    Raises:
        Unsupported: says what it is.
    """
    header = _header(booster)
    name, *details = _objective(booster) or [""]
    known = _CLASSIFIERS | _REGRESSORS
    problem = ""
    if "average_output" in header:
        problem = "a random forest (boosting 'rf')"
    elif _lines(booster, "is_linear=1"):
        problem = "trees with linear models in their leaves (linear_tree)"
    elif any(int(kind) >> 2 & 3 == _ZERO_IS_MISSING for line in _lines(booster, "decision_type=") for kind in line):
        problem = "zeros that stand for missing values (zero_as_missing)"
    elif name not in known:
        problem = f"the objective '{name}'" if name else "an objective of the user's own"
    elif any(detail.startswith("sigmoid:") and float(detail.partition(":")[2]) != 1 for detail in details):
        problem = f"the scaled sigmoid '{' '.join(details)}'"
    elif "sqrt" in details:
        problem = "targets under a square root (reg_sqrt)"
    if problem:
        raise Unsupported(
            f"{problem} has no counterpart in ONNX",
            hint=f"train it with one of {', '.join(sorted(known))}, or serve it by the fil backend",
        ).at(step=STEP)


def _lines(booster: Any, start: str) -> list[list[str]]:
    """The values of all lines of the booster's text that begin so."""
    lines = booster.model_to_string().splitlines()
    return [line.partition("=")[2].split() for line in lines if line.startswith(start)]


def _header(booster: Any) -> list[str]:
    """What stands before the first tree in the booster's text."""
    text: str = booster.model_to_string(num_iteration=1)
    return text.partition("\nTree=")[0].splitlines()


def _objective(booster: Any) -> list[str]:
    lines = (line for line in _header(booster) if line.startswith("objective="))
    return next(lines, "objective=").partition("=")[2].split()

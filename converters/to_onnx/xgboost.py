"""XGBoost models to ONNX, by onnxmltools.

The input is `input`, float32 [rows, features]. Classifiers give `label` [rows] and `probabilities` [rows, classes];
regressors and rankers `prediction` [rows, 1]. What onnxmltools would convert into a model that answers otherwise than
XGBoost (boosters of other kinds than trees, several targets, some objectives) is refused.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import onnx

from converters.errors import Unsupported
from converters.graph.opset import CLASSICAL, CLASSICAL_OPSET, DEFAULT_OPSET, declare_opsets
from converters.graph.outputs import rename_outputs
from converters.lazy import Source, value_of
from converters.to_onnx.frameworks import framework, one_line, quiet
from converters.to_onnx.tree_names import INPUT, free_rows

STEP = "XGBoost to ONNX"

# Objectives by what the answer is made of; under the same name in a group, onnxmltools writes the same graph.
_BINARY = frozenset({"binary:logistic"})
_MULTICLASS = frozenset({"multi:softprob", "multi:softmax"})
_LOG_LINK = frozenset({"count:poisson", "reg:gamma", "reg:tweedie"})
_IDENTITY = frozenset({
    "reg:squarederror", "reg:squaredlogerror", "reg:absoluteerror", "reg:pseudohubererror",
    "rank:pairwise", "rank:ndcg", "rank:map",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class OnnxFromXGBoost:
    """A booster, or a model of XGBoost's scikit-learn interface, as ONNX.

    Attributes:
        model: the booster (all its trees count) or model (those up to its best iteration count).
        opset: of the operators beside the trees'; None is the default.

    Raises:
        Unsupported: the booster, its objective, or its number of targets has no counterpart.
        ToolMissing: XGBoost or onnxmltools is not installed.
    """

    model: Source[Any]
    opset: int | None = None

    def __call__(self) -> onnx.ModelProto:
        """Check, convert, name."""
        booster = booster_of(value_of(self.model))
        objective = objective_of(booster)
        onnxmltools = framework("onnxmltools", extra="convert", attribute="convert_xgboost")
        try:
            with quiet():
                wrapped = _wrapped(booster, objective)
                rows = onnxmltools.convert.common.data_types.FloatTensorType([None, booster.num_features()])
                model: onnx.ModelProto = onnxmltools.convert_xgboost(wrapped, initial_types=[(INPUT, rows)])
        except Exception as error:
            raise Unsupported(
                f"onnxmltools cannot convert the booster: {one_line(error)}", hint="train it with numeric features only"
            ).at(step=STEP) from None
        declare_opsets(model, {"": self.opset or DEFAULT_OPSET, CLASSICAL: CLASSICAL_OPSET})
        rename_outputs(model, {"variable": "prediction"})
        free_rows(model)
        return model


def booster_of(model: Any) -> Any:
    """A booster with all trees that count for an answer, and no others; the model given is left as it is."""
    xgboost = framework("xgboost", extra="trees", attribute="Booster")
    if isinstance(model, xgboost.Booster):
        booster = model.copy()
    else:
        booster = model.get_booster()
        best = booster.attr("best_iteration")
        booster = booster.copy() if best is None else booster[: int(best) + 1]
    booster.set_attr(best_iteration=None, best_score=None)  # else onnxmltools would cut it once more
    booster.feature_names = booster.feature_types = None  # it takes no names but f0, f1, ...
    return booster


def objective_of(booster: Any) -> str:
    """The booster's objective.

    Raises:
        Unsupported: the booster is none that can be converted faithfully.
    """
    learner = json.loads(booster.save_config())["learner"]
    kind, objective = learner["gradient_booster"]["name"], learner["objective"]["name"]
    targets = int(learner["learner_model_param"].get("num_target", 1))
    if kind != "gbtree":
        raise Unsupported(
            f"the booster is of the kind '{kind}', and only trees ('gbtree') can be converted",
            hint="train it with booster='gbtree', or serve it by the fil backend",
        ).at(step=STEP)
    if targets > 1:
        raise Unsupported(
            f"the booster has {targets} targets, and only one can be converted", hint="train one booster for each"
        ).at(step=STEP)
    known = _BINARY | _MULTICLASS | _LOG_LINK | _IDENTITY
    if objective not in known:
        raise Unsupported(
            f"the objective '{objective}' has no counterpart in ONNX",
            hint=f"train it with one of {', '.join(sorted(known))}, or serve it by the fil backend",
        ).at(step=STEP)
    return str(objective)


def is_classifier(objective: str) -> bool:
    """Whether it answers with classes and their probabilities."""
    return objective in _BINARY | _MULTICLASS


def _wrapped(booster: Any, objective: str) -> Any:
    """The booster in XGBoost's scikit-learn interface: of a bare one, onnxmltools guesses what it is."""
    xgboost = framework("xgboost", extra="trees", attribute="Booster")
    model = xgboost.XGBClassifier() if is_classifier(objective) else xgboost.XGBRegressor()
    model.load_model(booster.save_raw("ubj"))
    if objective in _MULTICLASS:
        model.set_params(objective="multi:softprob")  # of softmax's, only the label is given
    elif objective in _IDENTITY:
        model.set_params(objective="reg:squarederror")
    else:
        model.set_params(objective=objective)
    return model

"""scikit-learn estimators and pipelines to ONNX, by skl2onnx.

The input is `input`, float32 [rows, features]. Classifiers give `label` [rows] and `probabilities` [rows, classes],
regressors `prediction`, clusterers and outlier detectors `label` and `scores`, transformers `features`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import onnx

from converters.errors import Unsupported
from converters.graph.opset import CLASSICAL, CLASSICAL_OPSET, DEFAULT_OPSET, declare_opsets
from converters.graph.outputs import rename_outputs
from converters.lazy import Source, value_of
from converters.to_onnx.frameworks import framework, one_line, quiet
from converters.to_onnx.tree_names import INPUT

STEP = "scikit-learn to ONNX"
_UNKNOWN = re.compile(r"Unable to find a shape calculator for type '<class '([\w.]+)'>'")


@dataclass(frozen=True, slots=True)
class OnnxFromScikitLearn:
    """A fitted estimator or pipeline as ONNX.

    Attributes:
        estimator: the estimator.
        opset: None is the default.

    Raises:
        Unsupported: it is not fitted, takes other than numbers, or a part of it has no converter; names the part.
        ToolMissing: scikit-learn or skl2onnx is not installed.
    """

    estimator: Source[Any]
    opset: int | None = None

    def __call__(self) -> onnx.ModelProto:
        """Convert, without ZipMap, and with readable outputs."""
        estimator = value_of(self.estimator)
        skl2onnx = framework("skl2onnx", extra="convert", attribute="convert_sklearn")
        opset = self.opset or DEFAULT_OPSET
        probabilities = hasattr(estimator, "predict_proba")
        try:
            with quiet():
                model: onnx.ModelProto = skl2onnx.convert_sklearn(
                    estimator,
                    initial_types=[(INPUT, skl2onnx.common.data_types.FloatTensorType([None, features_of(estimator)]))],
                    target_opset={"": opset, CLASSICAL: CLASSICAL_OPSET},
                    options={id(estimator): {"zipmap": False}} if probabilities else None,
                )
        except Unsupported:
            raise
        except Exception as error:  # each of its converters raises what it likes
            raise _refused(estimator, error).at(step=STEP) from None
        declare_opsets(model, {"": opset, CLASSICAL: CLASSICAL_OPSET})
        rename_outputs(model, output_names(estimator))
        return model


def features_of(estimator: Any) -> int:
    """How many features a row has.

    Raises:
        Unsupported: the estimator does not say, for it is not fitted or takes no rows of numbers.
    """
    count = getattr(estimator, "n_features_in_", None)
    if count is None:
        raise Unsupported(
            f"{type(estimator).__name__} does not say how many features it takes",
            hint="fit it on rows of numbers before it is saved; text and tables of mixed types are not converted",
        ).at(step=STEP)
    return int(count)


def output_names(estimator: Any) -> Mapping[str, str]:
    """What the outputs are called, by the names that skl2onnx gives them."""
    with quiet():
        from sklearn.base import is_regressor  # noqa: PLC0415 - only with scikit-learn

        single = "prediction" if is_regressor(estimator) else "features"
    return {"output_label": "label", "output_probability": "probabilities", "variable": single}


def _refused(estimator: Any, error: Exception) -> Unsupported:
    unknown = _UNKNOWN.search(str(error))
    if unknown:
        return Unsupported(
            f"skl2onnx has no converter for {unknown.group(1)}",
            hint="take an estimator that it knows, or serve the model by its own framework",
        )
    return Unsupported(
        f"skl2onnx cannot convert {type(estimator).__name__}: {one_line(error)}",
        hint="see that it is fitted, and that all its inputs are numbers",
    )

"""scikit-learn estimators in a skops file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from converters.arrays import Array, Feeds
from converters.errors import BadSource, Unsupported
from converters.originals.base import ExportOptions
from converters.originals.feeds import rows
from converters.originals.file import FileOriginal
from converters.to_onnx.frameworks import framework, one_line, quiet
from converters.to_onnx.scikit_learn import OnnxFromScikitLearn, features_of, output_names
from converters.to_onnx.simplify import SimplifiedFromOnnx
from converters.to_onnx.tree_names import INPUT


@dataclass(frozen=True, slots=True)
class ScikitLearnOriginal(FileOriginal):
    """A skops file."""

    kind: str = "scikit-learn"

    def to_onnx(self, options: ExportOptions) -> onnx.ModelProto:
        """See `OnnxFromScikitLearn`."""
        return SimplifiedFromOnnx(OnnxFromScikitLearn(load(self.path), options.opset))()

    def runner(self, options: ExportOptions) -> ScikitLearnRunner:  # noqa: ARG002 - nothing to choose
        """The estimator, in scikit-learn."""
        return ScikitLearnRunner(load(self.path))


def load(path: Path) -> Any:
    """The estimator in a skops file, which must hold no types but those that skops knows to be harmless.

    Raises:
        BadSource: the file is damaged, or holds other types.
    """
    framework("sklearn", extra="trees", attribute="base")
    skops = framework("skops.io", extra="trees", attribute="load")
    try:
        with quiet():
            untrusted = skops.get_untrusted_types(file=path)
            if not untrusted:
                return skops.load(path)
    except Exception as error:
        raise BadSource(
            f"'{path}' cannot be opened as a skops file: {one_line(error)}",
            hint="save the estimator by skops.io.dump(estimator, file), and copy the whole file",
        ).at(model=path.name) from None
    raise BadSource(
        f"'{path.name}' holds types that may run code: {', '.join(untrusted)}",
        hint="give a Python function that loads it, path/to/file.py:function, if you trust the file",
    ).at(model=path.name)


class ScikitLearnRunner:
    """An estimator over rows of float32."""

    def __init__(self, estimator: Any) -> None:
        self._estimator = estimator
        self._features = features_of(estimator)

    @property
    def name(self) -> str:
        """scikit-learn and its version."""
        return f"scikit-learn {framework('sklearn', extra='trees', attribute='base').__version__}"

    def run(self, feeds: Feeds) -> Mapping[str, Array]:
        """All outputs by name, as `to_onnx` names and shapes them.

        Raises:
            BadData: the rows are missing or of another shape.
        """
        array = rows(feeds, INPUT, self._features)
        with quiet():
            return _answers(self._estimator, array)

    def close(self) -> None:
        """Let go of the estimator."""
        self._estimator = None


def _answers(estimator: Any, array: Array) -> dict[str, Array]:
    if hasattr(estimator, "predict_proba"):
        probabilities = np.asarray(estimator.predict_proba(array))
        return {"label": _labels(estimator.predict(array)), "probabilities": probabilities}
    if hasattr(estimator, "score_samples") and hasattr(estimator, "fit_predict"):  # outlier detectors
        scores = estimator.decision_function(array)
        return {"label": _column(estimator.predict(array)), "scores": _column(scores)}
    if hasattr(estimator, "fit_predict") and hasattr(estimator, "transform"):  # clusterers with centres
        return {"label": np.asarray(estimator.predict(array)), "scores": estimator.transform(array)}
    if hasattr(estimator, "classes_") and hasattr(estimator, "decision_function"):
        scores = np.asarray(estimator.decision_function(array))
        return {"label": _labels(estimator.predict(array)), "probabilities": _column(scores)}
    single = output_names(estimator)["variable"]
    if hasattr(estimator, "predict"):
        return {single: _column(estimator.predict(array))}
    if hasattr(estimator, "transform"):
        return {single: np.asarray(estimator.transform(array))}
    raise Unsupported(
        f"{type(estimator).__name__} can neither predict nor transform", hint="give an estimator that can"
    ).at(step="run the original")


def _labels(labels: Any) -> Array:
    array = np.asarray(labels)
    return array.astype(object) if array.dtype.kind in "US" else array


def _column(values: Any) -> Array:
    array = np.asarray(values)
    return array[:, np.newaxis] if array.ndim == 1 else array

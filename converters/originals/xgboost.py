"""XGBoost boosters in a `.ubj` or `.json` file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from converters.arrays import Array, Feeds
from converters.errors import BadSource
from converters.originals.base import ExportOptions
from converters.originals.feeds import rows
from converters.originals.file import FileOriginal
from converters.to_onnx.frameworks import framework, one_line, quiet
from converters.to_onnx.simplify import SimplifiedFromOnnx
from converters.to_onnx.tree_names import INPUT
from converters.to_onnx.xgboost import OnnxFromXGBoost, booster_of, is_classifier, objective_of


@dataclass(frozen=True, slots=True)
class XGBoostOriginal(FileOriginal):
    """A file of `Booster.save_model`."""

    kind: str = "xgboost"

    def to_onnx(self, options: ExportOptions) -> onnx.ModelProto:
        """See `OnnxFromXGBoost`."""
        return SimplifiedFromOnnx(OnnxFromXGBoost(load(self.path), options.opset))()

    def runner(self, options: ExportOptions) -> XGBoostRunner:  # noqa: ARG002 - nothing to choose
        """The booster, in XGBoost."""
        return XGBoostRunner(load(self.path))


def load(path: Path) -> Any:
    """The booster in a file.

    Raises:
        BadSource: the file is damaged or of another kind.
    """
    xgboost = framework("xgboost", extra="trees", attribute="Booster")
    try:
        with quiet():
            return xgboost.Booster(model_file=str(path))
    except Exception as error:
        raise BadSource(
            f"'{path}' cannot be opened as an XGBoost model: {one_line(error)}",
            hint="save it by booster.save_model('model.ubj'), and copy the whole file",
        ).at(model=path.name) from None


class XGBoostRunner:
    """A booster (or a model of the scikit-learn interface) over rows of float32."""

    def __init__(self, model: Any) -> None:
        self._booster = booster_of(model)
        self._classes = is_classifier(objective_of(self._booster))

    @property
    def name(self) -> str:
        """XGBoost and its version."""
        return f"xgboost {framework('xgboost', extra='trees', attribute='Booster').__version__}"

    def run(self, feeds: Feeds) -> Mapping[str, Array]:
        """`label` and `probabilities`, or `prediction`.

        Raises:
            BadData: the rows are missing or of another shape.
        """
        array = rows(feeds, INPUT, self._booster.num_features())
        matrix = framework("xgboost", extra="trees", attribute="Booster").DMatrix(array)
        with quiet():
            if not self._classes:
                return {"prediction": self._booster.predict(matrix).reshape(len(array), 1)}
            probabilities = self._probabilities(matrix)
        return {"label": probabilities.argmax(axis=1), "probabilities": probabilities}

    def close(self) -> None:
        """Let go of the booster."""
        self._booster = None

    def _probabilities(self, matrix: Any) -> Array:
        if objective_of(self._booster) == "binary:logistic":
            positive = self._booster.predict(matrix)
            return np.stack([1 - positive, positive], axis=1)
        margins = self._booster.predict(matrix, output_margin=True)  # softmax's answer would be the label alone
        powers = np.exp(margins - margins.max(axis=1, keepdims=True))
        probabilities: Array = powers / powers.sum(axis=1, keepdims=True)
        return probabilities

"""LightGBM boosters in a `.txt` file."""

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
from converters.to_onnx.lightgbm import OnnxFromLightGBM, booster_of, is_classifier
from converters.to_onnx.simplify import SimplifiedFromOnnx
from converters.to_onnx.tree_names import INPUT


@dataclass(frozen=True, slots=True)
class LightGBMOriginal(FileOriginal):
    """A file of `Booster.save_model`."""

    kind: str = "lightgbm"

    def to_onnx(self, options: ExportOptions) -> onnx.ModelProto:
        """See `OnnxFromLightGBM`."""
        return SimplifiedFromOnnx(OnnxFromLightGBM(load(self.path), options.opset))()

    def runner(self, options: ExportOptions) -> LightGBMRunner:  # noqa: ARG002 - nothing to choose
        """The booster, in LightGBM."""
        return LightGBMRunner(load(self.path))


def load(path: Path) -> Any:
    """The booster in a file.

    Raises:
        BadSource: the file is damaged or of another kind.
    """
    lightgbm = framework("lightgbm", extra="trees", attribute="Booster")
    try:
        text = path.read_text("utf-8")
        # Of a text that ends early, LightGBM makes what it can or ends the process.
        if not text.startswith("tree\n") or "\nend of trees" not in text:
            raise ValueError("it does not begin and end as such a file does")
        with quiet():
            return lightgbm.Booster(model_str=text)
    except (OSError, ValueError, lightgbm.basic.LightGBMError) as error:
        raise BadSource(
            f"'{path}' cannot be opened as a LightGBM model: {one_line(error)}",
            hint="save it by booster.save_model('model.txt'), and copy the whole file",
        ).at(model=path.name) from None


class LightGBMRunner:
    """A booster (or a model of the scikit-learn interface) over rows of float32."""

    def __init__(self, model: Any) -> None:
        self._booster = booster_of(model)

    @property
    def name(self) -> str:
        """LightGBM and its version."""
        return f"lightgbm {framework('lightgbm', extra='trees', attribute='Booster').__version__}"

    def run(self, feeds: Feeds) -> Mapping[str, Array]:
        """`label` and `probabilities`, or `prediction`.

        Raises:
            BadData: the rows are missing or of another shape.
        """
        array = rows(feeds, INPUT, self._booster.num_feature())
        with quiet():
            answer = np.asarray(self._booster.predict(array), np.float32)
        if not is_classifier(self._booster):
            return {"prediction": answer.reshape(len(array), 1)}
        probabilities = answer if answer.ndim == 2 else np.stack([1 - answer, answer], axis=1)
        return {"label": probabilities.argmax(axis=1), "probabilities": probabilities}

    def close(self) -> None:
        """Let go of the booster."""
        self._booster = None

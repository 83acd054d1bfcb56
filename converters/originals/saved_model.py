"""TensorFlow SavedModels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from converters.arrays import Array, Feeds
from converters.errors import BadData
from converters.originals.base import ExportOptions
from converters.originals.feeds import taken
from converters.originals.file import FileOriginal
from converters.to_onnx.frameworks import one_line, quiet, tensorflow
from converters.to_onnx.saved_model import Endpoints, OnnxFromSavedModel, open_session
from converters.to_onnx.simplify import SimplifiedFromOnnx


@dataclass(frozen=True, slots=True)
class SavedModelOriginal(FileOriginal):
    """A SavedModel's folder."""

    kind: str = "savedmodel"

    def to_onnx(self, options: ExportOptions) -> onnx.ModelProto:
        """See `OnnxFromSavedModel`."""
        return SimplifiedFromOnnx(OnnxFromSavedModel(self.path, options.signature, options.opset))()

    def runner(self, options: ExportOptions) -> SavedModelRunner:
        """The signature in a TensorFlow session."""
        session, signature = open_session(self.path, options.signature)
        return SavedModelRunner(session, signature)


class SavedModelRunner:
    """One signature in a session, on the CPU; inputs and outputs have the signature's names."""

    def __init__(self, session: Any, signature: Endpoints) -> None:
        self._session = session
        self._signature = signature

    @property
    def name(self) -> str:
        """TensorFlow and its version."""
        return f"tensorflow {tensorflow().__version__}"

    def run(self, feeds: Feeds) -> Mapping[str, Array]:
        """All outputs of the signature.

        Raises:
            BadData: an input is missing, or of another shape or type.
        """
        arrays = taken(feeds, list(self._signature.inputs))
        feed = {self._signature.inputs[name]: array for name, array in arrays.items()}
        try:
            with quiet():
                results = self._session.run(dict(self._signature.outputs), feed)
        except (tensorflow().errors.OpError, ValueError, TypeError) as error:
            given = ", ".join(f"{name} {array.dtype} {list(array.shape)}" for name, array in arrays.items())
            raise BadData(
                f"the SavedModel does not take the input ({given}): {one_line(error)}",
                hint="give data of the shapes and types of its signature",
            ).at(step="run the original") from None
        return {name: np.asarray(result) for name, result in results.items()}

    def close(self) -> None:
        """Close the session."""
        self._session.close()

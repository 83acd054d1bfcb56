"""A BentoML service with one ONNX model, as its documentation shows: typed arrays in and out, workers by decorator.

It is configured through the environment: MODEL_FILE, WORKERS and INPUT_TYPE (such as int32).
It has its own JSON: {"tensor": [...]}.
"""

# mypy: disable-error-code="import-not-found, misc, untyped-decorator, type-arg"

import os
from typing import Annotated

import bentoml
import numpy as np
import onnxruntime
from bentoml.validators import TensorSchema
from pydantic import BaseModel, ConfigDict

# The schema is given by hand: with the pydantic that is installed, `DType` alone leaves an array as a list.
Tensor = Annotated[np.ndarray, TensorSchema("numpy-array", os.environ["INPUT_TYPE"], None)]
Floats = Annotated[np.ndarray, TensorSchema("numpy-array", "float32", None)]


class Answer(BaseModel):
    """One array for each of the model's outputs, in the model's order."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    outputs: list[Floats]


@bentoml.service(workers=int(os.environ["WORKERS"]), traffic={"timeout": 120})
class Onnx:
    """Calls ONNX Runtime with one thread."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            os.environ["MODEL_FILE"], options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]

    @bentoml.api(route="/infer")
    def infer(self, tensor: Tensor) -> Answer:
        """Run the model."""
        return Answer(outputs=self._session.run(self._outputs, {self._input: tensor}))

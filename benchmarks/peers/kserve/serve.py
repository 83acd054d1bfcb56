"""KServe's Python server with one ONNX model, as its guide to custom predictors shows.

Usage: serve.py MODEL_NAME MODEL_FILE HTTP_PORT GRPC_PORT WORKERS
"""

# mypy: disable-error-code="import-not-found, misc"

from __future__ import annotations

import sys
import uuid
from typing import Any

import onnxruntime
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer


class OnnxModel(Model):
    """Calls ONNX Runtime with one thread."""

    def __init__(self, name: str, path: str) -> None:
        super().__init__(name)
        self._path = path
        self.load()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_session"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.load()  # each worker is a process of its own, and a session cannot be sent to it

    def load(self) -> bool:
        """Make the session."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(self._path, options, providers=["CPUExecutionProvider"])
        self._outputs = [output.name for output in self._session.get_outputs()]
        self.ready = True
        return self.ready

    def predict(self, payload: InferRequest, headers: dict[str, str] | None = None) -> InferResponse:  # noqa: ARG002
        """Answer one request, in binary if it asks for that."""
        feeds = {tensor.name: tensor.as_numpy() for tensor in payload.inputs}
        wanted = {o.name: o.binary_data for o in payload.request_outputs or ()}
        outputs = []
        for name, array in zip(self._outputs, self._session.run(self._outputs, feeds), strict=True):
            output = InferOutput(name, list(array.shape), "FP32")
            output.set_data_from_numpy(array, binary_data=bool(wanted.get(name)) or payload.from_grpc)
            outputs.append(output)
        return InferResponse(response_id=payload.id or str(uuid.uuid4()), model_name=self.name, infer_outputs=outputs)


if __name__ == "__main__":
    model, file, http, grpc, workers = sys.argv[1:]
    sys.argv = sys.argv[:1]
    server = ModelServer(http_port=int(http), grpc_port=int(grpc), workers=int(workers), enable_docs_url=False)
    server.start([OnnxModel(model, file)])

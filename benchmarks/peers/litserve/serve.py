"""LitServe with one ONNX model, as its documentation shows: a LitAPI on numpy inputs, workers by configuration.

Usage: serve.py MODEL_NAME MODEL_FILE HTTP_PORT GRPC_PORT WORKERS
"""

# mypy: disable-error-code="import-not-found, misc"

from __future__ import annotations

import sys
from typing import Any

import litserve
import numpy as np
import onnxruntime

_TYPES = {"FP32": np.float32, "INT32": np.int32}


class OnnxApi(litserve.LitAPI):
    """Calls ONNX Runtime with one thread; speaks the same JSON as everybody else here."""

    def __init__(self, path: str, api_path: str) -> None:
        super().__init__(api_path=api_path)
        self._path = path

    def setup(self, device: str) -> None:  # noqa: ARG002 - the interface has it
        """Make the session."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(self._path, options, providers=["CPUExecutionProvider"])
        self._outputs = [output.name for output in self._session.get_outputs()]

    # LitServe takes annotations of these two as the types to validate with; its documentation has none.
    def decode_request(self, request):  # type: ignore[no-untyped-def]
        """JSON to arrays."""
        return {
            tensor["name"]: np.array(tensor["data"], _TYPES[tensor["datatype"]]).reshape(tensor["shape"])
            for tensor in request["inputs"]
        }

    def predict(self, feeds: dict[str, Any]) -> Any:
        """Run the model."""
        return self._session.run(self._outputs, feeds)

    def encode_response(self, arrays):  # type: ignore[no-untyped-def]
        """Arrays to JSON."""
        named = zip(self._outputs, arrays, strict=True)
        outputs = [{"name": n, "datatype": "FP32", "shape": a.shape, "data": a.ravel().tolist()} for n, a in named]
        return {"outputs": outputs}


if __name__ == "__main__":
    model, file, http, _, workers = sys.argv[1:]
    api = OnnxApi(file, f"/v2/models/{model}/infer")
    server = litserve.LitServer(api, accelerator="cpu", devices=1, workers_per_device=int(workers), timeout=120)
    server.run(host="127.0.0.1", port=int(http), log_level="warning", generate_client_file=False)

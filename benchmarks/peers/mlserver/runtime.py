"""A custom MLServer runtime for one ONNX model, as its guide to custom runtimes shows."""

# mypy: disable-error-code="import-not-found, misc"

from __future__ import annotations

import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class OnnxRuntime(MLModel):
    """Calls ONNX Runtime with one thread."""

    async def load(self) -> bool:
        """Make the session."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        path = self.settings.parameters.uri
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._outputs = [output.name for output in self._session.get_outputs()]
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer one request."""
        feeds = {tensor.name: NumpyCodec.decode_input(tensor) for tensor in payload.inputs}
        arrays = self._session.run(self._outputs, feeds)
        named = zip(self._outputs, arrays, strict=True)
        outputs = [NumpyCodec.encode_output(name=name, payload=array) for name, array in named]
        return InferenceResponse(model_name=self.name, outputs=outputs)

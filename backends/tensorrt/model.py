"""Triton's entry point for the backend `tensorrt`: only adapts Triton's Python API."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds `backends`

import triton_python_backend_utils as pb_utils

from backends.common import adapter
from backends.common.triton_api import InferenceRequest, ModelConfig
from backends.tensorrt.served import EngineBackend


class TritonPythonModel:
    """One instance of a model."""

    @staticmethod
    def auto_complete_config(auto_complete_model_config: ModelConfig) -> ModelConfig:
        """Fill in what `config.pbtxt` leaves out."""
        return adapter.auto_complete(pb_utils, EngineBackend(), auto_complete_model_config)

    def initialize(self, args: dict[str, str]) -> None:
        """Load the model."""
        self._served = adapter.load(pb_utils, EngineBackend.of(args["model_config"]), args)

    def execute(self, requests: list[InferenceRequest]) -> list[object]:
        """Answer the requests of one dynamic batch."""
        return self._served.execute(requests)

    def finalize(self) -> None:
        """Release the model."""
        self._served.close()

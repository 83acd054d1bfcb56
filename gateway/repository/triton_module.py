"""What a Python model finds as `triton_python_backend_utils` while it is tried out without Triton.

The functions and constants are those that the README of Triton's `python_backend` tells model writers to use. What only
a running Triton can do, calling other models, says so.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from backends.common.datatypes import BF16, NUMPY_TYPES, Array
from backends.common.fake import FakeError, FakePythonBackend, FakeRequest, FakeResponse, FakeTensor

_log = logging.getLogger("model")


class OnlyInTriton(Exception):
    """The model asked for what only a running Triton can do."""


class Tensor(FakeTensor):
    """A named tensor."""

    def is_cpu(self) -> bool:
        """Whether it is in the host's memory."""
        return True

    def shape(self) -> list[int]:
        """Its dimensions."""
        return list(self.bits().shape)

    def triton_dtype(self) -> str:
        """Triton's name of its datatype."""
        found = self.bits().dtype
        return self._datatype or next((name for name, dtype in NUMPY_TYPES.items() if dtype == found), "TYPE_INVALID")


class ModelError(FakeError):
    """An error of a response, with all of Triton's codes."""

    UNKNOWN, NOT_FOUND, UNAVAILABLE = "UNKNOWN", "NOT_FOUND", "UNAVAILABLE"
    UNSUPPORTED, ALREADY_EXISTS, CANCELLED = "UNSUPPORTED", "ALREADY_EXISTS", "CANCELLED"

    def code_name(self) -> str:
        """The code."""
        return self.code


class Response(FakeResponse):
    """What a model answers."""

    def __init__(
        self,
        output_tensors: Sequence[FakeTensor] = (),
        error: FakeError | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(output_tensors, error)
        self._parameters = dict(parameters or {})

    def output_tensors(self) -> list[FakeTensor]:
        """The outputs."""
        return list(self.outputs.values())

    def has_error(self) -> bool:
        """Whether it is an error."""
        return self.error is not None

    def parameters(self) -> str:
        """Its parameters as JSON."""
        return json.dumps(self._parameters)


class Sender:
    """Takes the responses of a decoupled model."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def send(self, response: Any = None, flags: int = 0) -> None:  # noqa: ARG002 - Triton's signature
        """Send one response, or only the sign that there are no more."""
        if response is not None:
            self.sent.append(response)

    def is_cancelled(self) -> bool:
        """Whether the client went away."""
        return False


class Request(FakeRequest):
    """One request, with everything that a model may ask it."""

    def __init__(self, tensors: Sequence[FakeTensor], outputs: Sequence[str]) -> None:
        super().__init__(tensors, outputs)
        self.sender = Sender()

    def get_response_sender(self) -> Sender:
        """Where a decoupled model sends its responses."""
        return self.sender

    def request_id(self) -> str:
        """The client's name of the request."""
        return "trial"

    def correlation_id(self) -> int:
        """The sequence that it belongs to: none."""
        return 0

    def flags(self) -> int:
        """Neither the start nor the end of a sequence."""
        return 0

    def timeout(self) -> int:
        """In microseconds; none."""
        return 0

    def parameters(self) -> str:
        """Parameters of the request as JSON."""
        return "{}"

    def is_cancelled(self) -> bool:
        """Whether the client went away."""
        return False


class Logger:
    """Triton's log: goes where everything goes that the model prints."""

    INFO, WARNING, ERROR, VERBOSE = "info", "warning", "error", "verbose"

    log_info = log_warn = log_error = log_verbose = staticmethod(_log.info)

    @staticmethod
    def log(message: str, level: str = INFO) -> None:
        """Log one message."""
        _log.info("%s: %s", level, message)


class TritonModule(FakePythonBackend):
    """Stands for the module `triton_python_backend_utils`."""

    Tensor = Tensor
    InferenceResponse = Response
    TritonError = ModelError
    Logger = Logger

    TRITONSERVER_REQUEST_FLAG_SEQUENCE_START, TRITONSERVER_REQUEST_FLAG_SEQUENCE_END = 1, 2
    TRITONSERVER_RESPONSE_COMPLETE_FINAL = 1
    TRITONSERVER_REQUEST_RELEASE_ALL, TRITONSERVER_REQUEST_RELEASE_RESCHEDULE = 1, 2

    @staticmethod
    def get_input_tensor_by_name(request: FakeRequest, name: str) -> FakeTensor | None:
        """The input of a request; None if it has none of this name."""
        return next((tensor for tensor in request.inputs() if tensor.name() == name), None)

    @staticmethod
    def get_output_tensor_by_name(response: FakeResponse, name: str) -> FakeTensor | None:
        """The output of a response; None if it has none of this name."""
        return response.outputs.get(name)

    @staticmethod
    def get_input_config_by_name(config: Mapping[str, Any], name: str) -> Any:
        """The configuration of an input; None if there is none of this name."""
        return _by_name(config.get("input", []), name)

    @staticmethod
    def get_output_config_by_name(config: Mapping[str, Any], name: str) -> Any:
        """The configuration of an output; None if there is none of this name."""
        return _by_name(config.get("output", []), name)

    @staticmethod
    def using_decoupled_model_transaction_policy(config: Mapping[str, Any]) -> bool:
        """Whether the model may answer a request any number of times."""
        return bool(config.get("model_transaction_policy", {}).get("decoupled"))

    @staticmethod
    def triton_string_to_numpy(datatype: str) -> Any:
        """The numpy type of a datatype as configurations have it."""
        if datatype == BF16 or datatype not in NUMPY_TYPES:
            return None
        return NUMPY_TYPES[datatype].type

    @staticmethod
    def serialize_byte_tensor(tensor: Array) -> Array:
        """Texts as the protocol carries them: each behind its length in four bytes."""
        texts = (each if isinstance(each, bytes) else str(each).encode() for each in tensor.flat)
        return np.frombuffer(b"".join(len(text).to_bytes(4, "little") + text for text in texts), np.uint8)

    def __getattr__(self, name: str) -> Any:
        return _only_in_triton(name)


def _by_name(entries: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any] | None:
    return next((entry for entry in entries if entry["name"] == name), None)


def _only_in_triton(name: str) -> type:
    """A class, so that annotations may name it, of which nobody can have an instance."""
    if name.startswith("__"):
        raise AttributeError(name)

    def refuse(*_: object, **__: object) -> Any:
        raise OnlyInTriton(f"pb_utils.{name}")

    return type(name, (), {"__new__": refuse})

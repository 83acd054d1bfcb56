"""Between Triton's Python API and a backend whose logic knows only numpy.

`model.py` of each backend hands its four entry points to this module. Errors leave it as Triton's own: a model that
cannot be served as a load error of one line, a request that cannot be answered as its own response's error.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from backends.common.batching import Batcher, Outcome, Request
from backends.common.bfloat16 import bits_from_tensor, capsule_from_bits
from backends.common.config import ModelConfig, parse_config
from backends.common.datatypes import BF16, Array, numpy_type
from backends.common.errors import LoadError, RequestError, one_line
from backends.common.placement import Placement
from backends.common.signature import Signature, complete, is_complete
from backends.common.triton_api import InferenceRequest, PythonBackend, Tensor
from backends.common.triton_api import ModelConfig as TritonModelConfig


class Runner(Protocol):
    """A loaded model: numpy in, numpy out."""

    @property
    def shared(self) -> frozenset[str]:
        """Inputs that hold one value for a whole batch (see `Batcher`)."""

    @property
    def scalars(self) -> frozenset[str]:
        """Inputs that have no dimension at all, of which Triton sends one element."""

    def run(self, inputs: Mapping[str, Array], outputs: Collection[str]) -> Mapping[str, Array]:
        """The named outputs, and only those; strings as object arrays, BF16 as the `uint16` arrays of its bits.

        Raises:
            RequestError: the inputs cannot be used. Any other exception is the model's own failure.
        """

    def close(self) -> None:
        """Release the model's memory."""


class Backend(Protocol):
    """One framework: a module with these functions. Both raise `LoadError`."""

    def inspect(self, folder: Path, raw: Mapping[str, Any]) -> Signature:
        """The signature of the model in `folder`, for a configuration that is not complete."""

    def load(self, folder: Path, config: ModelConfig, placement: Placement) -> Runner:
        """The model in `folder`, checked against its configuration and ready to run."""


def auto_complete(api: PythonBackend, backend: Backend, config: TritonModelConfig) -> TritonModelConfig:
    """Fill in what the configuration leaves out; a complete one is left alone and no framework is imported.

    Triton's own `add_input` cannot give a `reshape` and merges a wrong name into the configuration without complaint,
    so the completed sections are written to the dictionary itself.
    """
    raw = config.as_dict()
    try:
        if not is_complete(raw):
            raw.update(complete(raw, backend.inspect(Path(api.get_model_dir()), raw)))
    except Exception as error:
        message = _load_message(error)
    else:
        return config
    # Raised outside of the handler: Triton prints the chain of causes, and its traceback, with the message.
    raise api.TritonModelException(message)


def load(api: PythonBackend, backend: Backend, args: Mapping[str, str]) -> ServedModel:
    """The model that Triton's `initialize` arguments name, ready to answer requests."""
    try:
        config = parse_config(json.loads(args["model_config"]))
        runner = backend.load(Path(api.get_model_dir()), config, Placement.from_args(args))
        return ServedModel(api, config, runner)
    except Exception as error:
        message = _load_message(error)
    raise api.TritonModelException(message)


def _load_message(error: Exception) -> str:
    return str(error) if isinstance(error, LoadError) else one_line(f"{type(error).__name__}: {error}")


class ServedModel:
    """A loaded model that answers Triton's requests."""

    def __init__(self, api: PythonBackend, config: ModelConfig, runner: Runner) -> None:
        self._api = api
        self._runner = runner
        self._batcher = Batcher(runner.run, batched=config.batched, shared=runner.shared)
        self._input_types = {tensor.name: tensor.datatype for tensor in config.inputs}
        self._output_types = {tensor.name: tensor.datatype for tensor in config.outputs}

    def execute(self, requests: Sequence[InferenceRequest]) -> list[Any]:
        """One response for each request, in order; never raises for a request's sake."""
        read = [self._read(request) for request in requests]
        runnable = [index for index, request in enumerate(read) if isinstance(request, Request)]
        ran = self._batcher.run_all([request for request in read if isinstance(request, Request)])
        outcomes: dict[int, Outcome] = dict(zip(runnable, ran, strict=True))
        outcomes.update((index, error) for index, error in enumerate(read) if isinstance(error, RequestError))
        return [self._respond(outcomes[index]) for index in range(len(requests))]

    def close(self) -> None:
        """Release the model."""
        self._runner.close()

    def _read(self, request: InferenceRequest) -> Request | RequestError:
        try:
            inputs = {tensor.name(): self._array(tensor) for tensor in request.inputs()}
            wanted = frozenset(request.requested_output_names()) or frozenset(self._output_types)
        except Exception as error:  # one request's tensors must not fail the others
            return RequestError(f"the request cannot be read: {one_line(error)}")
        return Request(inputs, wanted)

    def _array(self, tensor: Tensor) -> Array:
        name = tensor.name()
        array = bits_from_tensor(tensor) if self._input_types.get(name) == BF16 else tensor.as_numpy()
        return array.reshape(()) if name in self._runner.scalars and array.size == 1 else array

    def _respond(self, outcome: Outcome) -> Any:
        if not isinstance(outcome, RequestError):
            try:
                # In the configuration's order, whatever the order of the request or of the framework.
                tensors = [self._tensor(name, outcome[name]) for name in self._output_types if name in outcome]
                return self._api.InferenceResponse(output_tensors=tensors)
            except Exception as error:  # one response must not fail the others
                outcome = error if isinstance(error, RequestError) else RequestError(one_line(error))
        errors = self._api.TritonError
        code = errors.INVALID_ARG if outcome.invalid else errors.INTERNAL
        return self._api.InferenceResponse(output_tensors=[], error=errors(str(outcome), code))

    def _tensor(self, name: str, array: Array) -> Any:
        datatype = self._output_types[name]
        if array.dtype != numpy_type(datatype):
            raise RequestError(f"output '{name}' is {array.dtype}, but config.pbtxt says {datatype}")
        if array.ndim == 0:
            array = array.reshape(1)  # Triton has no scalars
        if datatype == BF16:
            return self._api.Tensor.from_dlpack(name, capsule_from_bits(array))
        return self._api.Tensor(name, array)

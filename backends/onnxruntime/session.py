"""ONNX models: opened, checked and run by ONNX Runtime; numpy in, numpy out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from backends.common.config import ModelConfig
from backends.common.datatypes import BF16, STRING, Array
from backends.common.errors import LoadError, RequestError, one_line
from backends.common.files import model_path
from backends.common.frameworks import import_framework
from backends.common.placement import Placement
from backends.common.signature import Signature, TensorSpec
from backends.common.threads import usable_cores
from backends.onnxruntime import values
from backends.onnxruntime.settings import CPU, Provider, SessionSettings, choose_providers

_DEFAULT_FILENAME = "model.onnx"

_DATATYPES = {
    "tensor(bool)": "TYPE_BOOL",
    "tensor(uint8)": "TYPE_UINT8",
    "tensor(uint16)": "TYPE_UINT16",
    "tensor(uint32)": "TYPE_UINT32",
    "tensor(uint64)": "TYPE_UINT64",
    "tensor(int8)": "TYPE_INT8",
    "tensor(int16)": "TYPE_INT16",
    "tensor(int32)": "TYPE_INT32",
    "tensor(int64)": "TYPE_INT64",
    "tensor(float16)": "TYPE_FP16",
    "tensor(float)": "TYPE_FP32",
    "tensor(double)": "TYPE_FP64",
    "tensor(bfloat16)": BF16,
    "tensor(string)": STRING,
}

# ONNX Runtime's log severities.
_ERRORS_ONLY = 3
_NOTHING = 4  # but what is fatal


def inspect(folder: Path, raw: Mapping[str, Any]) -> Signature:
    """The signature of the model in `folder`; opens it without optimising it."""
    ort = _framework()
    options = ort.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    for library in raw.get("model_operations", {}).get("op_library_filename", []):
        options.register_custom_ops_library(library)
    return _signature(_open(ort, _path(folder, str(raw.get("default_model_filename", ""))), options, [CPU]))


def load(folder: Path, config: ModelConfig, placement: Placement) -> OnnxModel:
    """The model in `folder`, checked against its configuration and ready to run."""
    ort = _framework()
    path = _path(folder, config.filename)
    providers = choose_providers(config, placement, ort.get_available_providers())
    settings = SessionSettings.from_config(config, usable_cores())
    session = _open(ort, path, _options(ort, config, settings), providers)
    if providers[0][0] not in session.get_providers():
        # ONNX Runtime falls back to the CPU with no more than a line in its log.
        raise LoadError(
            f"ONNX Runtime could not use {providers[0][0]} with {providers[0][1]}; see the log for its reason"
        )
    _known_ranks(_signature(session)).check(config)
    _refuse_strings_to_bfloat16(config)
    return OnnxModel(ort, session, config, settings.run_entries)


class OnnxModel:
    """An ONNX Runtime session."""

    shared: frozenset[str] = frozenset()
    scalars: frozenset[str] = frozenset()  # ONNX Runtime takes one element for a scalar

    def __init__(self, ort: Any, session: Any, config: ModelConfig, run_entries: Mapping[str, str]) -> None:
        self._ort = ort
        self._session = session
        self._datatypes = {tensor.name: tensor.datatype for tensor in (*config.inputs, *config.outputs)}
        self._run_options = _run_options(ort, run_entries)

    def run(self, inputs: Mapping[str, Array], outputs: Collection[str]) -> dict[str, Array]:
        """Give only the named outputs; ONNX Runtime computes the whole graph, whichever are asked for."""
        names = sorted(outputs)
        feed = {name: self._fed(name, array) for name, array in inputs.items()}
        try:
            if any(self._datatypes[name] == BF16 for name in names):
                return self._run_values(feed, names)
            results = self._session.run(names, feed, self._run_options)
        except Exception as error:
            raise _request_error(error) from None
        return {name: np.asarray(result) for name, result in zip(names, results, strict=True)}

    def close(self) -> None:
        """Release the session."""
        self._session = None

    def _fed(self, name: str, array: Array) -> Any:
        match self._datatypes.get(name):
            case "TYPE_STRING":
                return values.decoded(name, array)
            case "TYPE_BF16":
                return values.bfloat16(self._ort, array)
            case _:
                return array

    def _run_values(self, feed: Mapping[str, Any], names: Sequence[str]) -> dict[str, Array]:
        """Run on ONNX Runtime's own values, the only ones that hold a bfloat16 output."""
        wrap = self._ort.OrtValue.ortvalue_from_numpy
        wrapped = {name: wrap(value) if isinstance(value, np.ndarray) else value for name, value in feed.items()}
        results = self._session.run_with_ort_values(names, wrapped, self._run_options)
        return {
            name: values.bfloat16_bits(result) if self._datatypes[name] == BF16 else values.array_of(result)
            for name, result in zip(names, results, strict=True)
        }


def _framework() -> Any:
    return import_framework("onnxruntime", extra="onnx", attribute="InferenceSession")


def _path(folder: Path, filename: str) -> Path:
    """The model's file; a model with external data may be a folder of that name, as with the native backend."""
    filename = filename or _DEFAULT_FILENAME
    if (folder / filename).is_dir():
        return model_path(folder / filename, _DEFAULT_FILENAME)
    return model_path(folder, filename)


def _options(ort: Any, config: ModelConfig, settings: SessionSettings) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = settings.intra_op_threads
    options.inter_op_num_threads = settings.inter_op_threads
    options.execution_mode = ort.ExecutionMode.ORT_PARALLEL if settings.parallel else ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, settings.graph_level)
    if settings.mem_arena is not None:
        options.enable_cpu_mem_arena = settings.mem_arena
    if settings.mem_pattern is not None:
        options.enable_mem_pattern = settings.mem_pattern
    for key, value in settings.entries.items():
        options.add_session_config_entry(key, value)
    for library in config.operation_libraries:
        try:
            options.register_custom_ops_library(library)
        except Exception as error:
            raise LoadError(f"'op_library_filename' {library} cannot be loaded: {_plain(error)}") from None
    return options


def _run_options(ort: Any, entries: Mapping[str, str]) -> Any:
    options = ort.RunOptions()
    options.log_severity_level = _NOTHING  # the caller gets the error; a wrong request must not fill the log
    for key, value in entries.items():
        options.add_run_config_entry(key, value)
    return options


def _open(ort: Any, path: Path, options: Any, providers: Sequence[Provider]) -> Any:
    try:
        return ort.InferenceSession(str(path), options, providers=list(providers))
    except Exception as error:
        raise LoadError(f"'{path.name}' cannot be opened as an ONNX model: {_plain(error, path)}") from None


def _signature(session: Any) -> Signature:
    required = tuple(_spec(node) for node in session.get_inputs())
    # A graph input that has an initializer has a default.
    defaulted = tuple(replace(_spec(node), optional=True) for node in session.get_overridable_initializers())
    return Signature(required + defaulted, tuple(_spec(node) for node in session.get_outputs()))


def _spec(node: Any) -> TensorSpec:
    shape = tuple(size if isinstance(size, int) and size >= 0 else -1 for size in node.shape)
    return TensorSpec(node.name, _DATATYPES.get(node.type, node.type), shape)


def _known_ranks(signature: Signature) -> Signature:
    """ONNX Runtime tells an unknown rank and a scalar alike, as no dimensions: neither can be held against `dims`."""

    def known(specs: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
        return tuple(spec if spec.shape else replace(spec, shape=None) for spec in specs)

    return Signature(known(signature.inputs), known(signature.outputs))


def _refuse_strings_to_bfloat16(config: ModelConfig) -> None:
    """ONNX Runtime's Python API makes no values of its own from strings, and gives bfloat16 only as such values."""
    strings = [tensor.name for tensor in config.inputs if tensor.datatype == STRING]
    bfloat16 = [tensor.name for tensor in config.outputs if tensor.datatype == BF16]
    if strings and bfloat16:
        raise LoadError(
            f"input '{strings[0]}' is TYPE_STRING and output '{bfloat16[0]}' TYPE_BF16, which ONNX Runtime's Python "
            "API cannot do in one model; leave that output out of config.pbtxt, or export it as FP32"
        )


def _request_error(error: Exception) -> RequestError:
    if isinstance(error, RequestError):
        return error
    return RequestError(_plain(error), invalid=type(error).__name__ == "InvalidArgument")


def _plain(error: Exception, path: Path | None = None) -> str:
    """ONNX Runtime's message without its prefix `[ONNXRuntimeError] : 2 : INVALID_ARGUMENT :` and without paths."""
    text = one_line(error)
    if text.startswith("[ONNXRuntimeError]"):
        text = text.split(" : ", 3)[-1]
    return text.replace(str(path.parent) + "/", "") if path else text

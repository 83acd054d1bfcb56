"""SavedModels: opened, checked and run by TensorFlow; numpy in, numpy out.

The graph runs in a session, as in the native backend: that needs only the graph and its variables, while
`tf.saved_model.load` also rebuilds the Python objects that were saved with them, an optimizer's for one, and fails
where this Keras no longer knows them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from backends.common.config import ModelConfig
from backends.common.datatypes import BF16, STRING, Array
from backends.common.errors import LoadError, RequestError, one_line
from backends.common.files import model_path
from backends.common.placement import Placement
from backends.common.signature import Signature, TensorSpec
from backends.tensorflow.settings import GraphChoice, import_tensorflow, session_config

_DEFAULT_FILENAME = "model.savedmodel"
_GRAPH_FILE = "saved_model.pb"

_DATATYPES = {
    "bool": "TYPE_BOOL",
    "uint8": "TYPE_UINT8",
    "uint16": "TYPE_UINT16",
    "uint32": "TYPE_UINT32",
    "uint64": "TYPE_UINT64",
    "int8": "TYPE_INT8",
    "int16": "TYPE_INT16",
    "int32": "TYPE_INT32",
    "int64": "TYPE_INT64",
    "float16": "TYPE_FP16",
    "float32": "TYPE_FP32",
    "float64": "TYPE_FP64",
    "bfloat16": BF16,
    "string": STRING,
}

# What TensorFlow writes around the cause of a failure.
_NOISE = re.compile(
    r"Graph execution error:|Detected at node .* defined at \(most recent call last\):|<stack traces unavailable>"
    r"|\[\[\{\{node [^}]*\}\}[^]]*\]\]|\[Op:[^]]*\]|^\{\{function_node [^}]*\}\}"
)


def inspect(folder: Path, raw: Mapping[str, Any]) -> Signature:
    """The signature of the model in `folder`; reads the graph's description only."""
    choice = GraphChoice.from_raw(raw)
    path = _path(folder, str(raw.get("default_model_filename", "")))
    tf = import_tensorflow()
    return _signature(tf, _described(path, choice))


def load(folder: Path, config: ModelConfig, placement: Placement) -> SavedModel:
    """The model in `folder`, checked against its configuration and ready to run."""
    choice = GraphChoice.from_parameters(config.parameters)
    path = _path(folder, config.filename)
    tf = import_tensorflow()
    description = _described(path, choice)
    signature = _signature(tf, description)
    signature.check(config)
    session = tf.compat.v1.Session(graph=tf.Graph(), config=session_config(tf, config, placement))
    try:
        with session.graph.as_default():
            tf.compat.v1.saved_model.load(session, [choice.tag], str(path))
    except Exception as error:
        session.close()
        raise _cannot_be_opened(path, error) from None
    return SavedModel(tf, session, description, config, signature.scalar_inputs)


class SavedModel:
    """One signature of a SavedModel, in a session."""

    shared: frozenset[str] = frozenset()

    def __init__(self, tf: Any, session: Any, description: Any, config: ModelConfig, scalars: frozenset[str]) -> None:
        self.scalars = scalars
        self._tf = tf
        self._session = session
        self._inputs = {name: info.name for name, info in description.inputs.items()}
        self._outputs = {name: info.name for name, info in description.outputs.items()}
        self._datatypes = {tensor.name: tensor.datatype for tensor in (*config.inputs, *config.outputs)}

    def run(self, inputs: Mapping[str, Array], outputs: Collection[str]) -> dict[str, Array]:
        """Fetch only the named outputs; what lies outside of a `tf.function` is computed only as far as they need."""
        feed = {self._inputs[name]: self._fed(name, array) for name, array in inputs.items()}
        try:
            results = self._session.run({name: self._outputs[name] for name in outputs}, feed)
        except (self._tf.errors.InvalidArgumentError, ValueError) as error:
            raise RequestError(_plain(error), invalid=True) from None
        except Exception as error:
            raise RequestError(_plain(error)) from None
        return {name: self._fetched(name, result) for name, result in results.items()}

    def close(self) -> None:
        """Release the model."""
        self._session.close()

    def _fed(self, name: str, array: Array) -> Array:
        return array.view(self._tf.bfloat16.as_numpy_dtype) if self._datatypes.get(name) == BF16 else array

    def _fetched(self, name: str, result: Any) -> Array:
        if self._datatypes[name] == STRING:
            return np.asarray(result, dtype=object)
        array: Array = np.asarray(result)
        return array.view(np.uint16) if self._datatypes[name] == BF16 else array


def _path(folder: Path, filename: str) -> Path:
    path = model_path(folder, filename or _DEFAULT_FILENAME, directory=True)
    if not (path / _GRAPH_FILE).is_file():
        raise LoadError(f"'{path.name}' has no {_GRAPH_FILE}, so it is no SavedModel; copy the whole folder again")
    return path


def _described(path: Path, choice: GraphChoice) -> Any:
    """The description (`SignatureDef`) of the signature to serve."""
    from tensorflow.core.protobuf import saved_model_pb2  # noqa: PLC0415 - only where TensorFlow is installed

    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString((path / _GRAPH_FILE).read_bytes())
    except Exception as error:
        raise _cannot_be_opened(path, error) from None
    tags = [sorted(graph.meta_info_def.tags) for graph in saved.meta_graphs]
    if [choice.tag] not in tags:
        found = ", ".join(" and ".join(each) or "none" for each in tags) or "none"
        raise LoadError(f"parameter 'TF_GRAPH_TAG': '{path.name}' has no graph tagged '{choice.tag}', but {found}")
    signatures = saved.meta_graphs[tags.index([choice.tag])].signature_def
    return signatures[choice.pick(signatures)]


def _signature(tf: Any, description: Any) -> Signature:
    return Signature(
        tuple(_spec(tf, name, info) for name, info in sorted(description.inputs.items())),
        tuple(_spec(tf, name, info) for name, info in sorted(description.outputs.items())),
    )


def _spec(tf: Any, name: str, info: Any) -> TensorSpec:
    if not info.name:
        return TensorSpec(name, f"a {info.WhichOneof('encoding')} tensor", None)
    known = not info.tensor_shape.unknown_rank
    shape = tuple(int(dimension.size) for dimension in info.tensor_shape.dim) if known else None
    dtype = tf.as_dtype(info.dtype).name
    return TensorSpec(name, _DATATYPES.get(dtype, dtype), shape)


def _cannot_be_opened(path: Path, error: Exception) -> LoadError:
    text = _plain(error).replace(f"{path.parent}/", "")
    return LoadError(f"'{path.name}' cannot be opened as a SavedModel: {text}")


def _plain(error: Exception) -> str:
    """TensorFlow's message without where it arose in the graph."""
    text = str(getattr(error, "message", None) or error)
    return one_line(_NOISE.sub(" ", text)) or type(error).__name__

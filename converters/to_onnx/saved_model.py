"""SavedModel to ONNX, by tf2onnx.

The graph is read in a session, as the native Triton backend does: that needs only the graph and its variables, while
`tf.saved_model.load` also rebuilds the Python objects that were saved with them, an optimizer's for one, and fails
where this Keras no longer knows them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from converters.errors import BadSource, ConfigError, ConversionError, Unsupported
from converters.graph.opset import DEFAULT_OPSET, refuse_unknown_operators
from converters.lazy import Source, value_of
from converters.to_onnx.frameworks import framework, one_line, quiet, tensorflow

STEP = "SavedModel to ONNX"
_TAG = "serve"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The tensors of one signature: the graph's names by the signature's names."""

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class OnnxFromSavedModel:
    """A SavedModel's signature as ONNX. Inputs and outputs keep the names that the signature gives them.

    Attributes:
        path: the SavedModel's folder.
        signature: which of its signatures.
        opset: 18 at most, which is the newest that tf2onnx writes; None is 18.

    Raises:
        BadSource: it is no SavedModel or damaged.
        ConfigError: there is no such signature.
        Unsupported: TensorFlow operations have no counterpart in ONNX (names them), or an input has a dynamic rank.
        ToolMissing: TensorFlow or tf2onnx is not installed.
    """

    path: Source[Path]
    signature: str = "serving_default"
    opset: int | None = None

    def __call__(self) -> onnx.ModelProto:
        """Read, freeze, inline and convert."""
        path = value_of(self.path)
        tf = tensorflow()
        tf2onnx = framework("tf2onnx", extra="convert", attribute="convert")
        with opened(path, self.signature) as (session, signature), quiet():
            unranked = _unranked(session, signature)
            frozen = _frozen(tf, session, signature)
            tables = _tables(tf, session, frozen)
        try:
            with quiet():
                model = _converted(tf, tf2onnx, _inlined(tf, frozen, signature), signature, tables, self.opset)
        except Exception as error:  # tf2onnx raises whatever went wrong in one of its handlers
            raise _refused(error).at(model=path.name, step=STEP) from None
        refuse_unknown_operators(model, step=STEP)
        for output in model.graph.output:
            if output.name in unranked:
                output.type.tensor_type.ClearField("shape")  # tf2onnx says that it is a scalar
        _refuse_hidden_inputs(model, signature)
        return model


@contextmanager
def opened(path: Path, name: str) -> Iterator[tuple[Any, Endpoints]]:
    """A session that holds the SavedModel, and one of its signatures.

    Raises:
        BadSource: it is no SavedModel or damaged.
        ConfigError: there is no such signature.
    """
    session, signature = open_session(path, name)
    try:
        yield session, signature
    finally:
        session.close()


def open_session(path: Path, name: str) -> tuple[Any, Endpoints]:
    """As `opened`, for whoever closes the session himself."""
    tf = tensorflow()
    if not (path / "saved_model.pb").is_file():
        raise BadSource(
            f"'{path}' has no saved_model.pb, so it is no SavedModel", hint="copy the whole folder again"
        ).at(model=path.name, step=STEP)
    with quiet():
        config = tf.compat.v1.ConfigProto(device_count={"GPU": 0})
        session = tf.compat.v1.Session(graph=tf.Graph(), config=config)
        try:
            with session.graph.as_default():
                signatures = tf.compat.v1.saved_model.load(session, [_TAG], str(path)).signature_def
        except Exception as error:
            session.close()
            raise BadSource(
                f"'{path.name}' cannot be opened as a SavedModel: {one_line(error)}",
                hint="it may be cut short: copy the whole folder again, or save the model again",
            ).at(model=path.name, step=STEP) from None
    if name not in signatures:
        session.close()
        known = ", ".join(f"'{each}'" for each in sorted(signatures) if not each.startswith("__")) or "none"
        raise ConfigError(f"the SavedModel has no signature '{name}'", hint=f"it has {known}").at(model=path.name)
    return session, _endpoints(signatures[name])


def _endpoints(described: Any) -> Endpoints:
    return Endpoints(
        inputs={name: described.inputs[name].name for name in sorted(described.inputs)},
        outputs={name: described.outputs[name].name for name in sorted(described.outputs)},
    )


def _unranked(session: Any, signature: Endpoints) -> set[str]:
    """Outputs whose number of dimensions is not known.

    Raises:
        Unsupported: there is such an input: tf2onnx would take it for a scalar.
    """
    ranks = {
        name: session.graph.get_tensor_by_name(tensor).shape.rank
        for name, tensor in (*signature.inputs.items(), *signature.outputs.items())
    }
    for name in signature.inputs:
        if ranks[name] is None:
            raise Unsupported(
                f"input '{name}' may have any number of dimensions",
                hint="save the model with a shape for it; single dimensions may stay open (None)",
            ).at(step=STEP)
    return {name for name in signature.outputs if ranks[name] is None}


def _frozen(tf: Any, session: Any, signature: Endpoints) -> Any:
    """The graph with its variables as constants."""
    nodes = [tensor.partition(":")[0] for tensor in (*signature.outputs.values(), *signature.inputs.values())]
    graph = session.graph.as_graph_def(add_shapes=True)
    for node in graph.node:
        node.device = ""
    frozen = tf.compat.v1.graph_util.convert_variables_to_constants(session, graph, nodes)
    for node in (*frozen.node, *(node for function in frozen.library.function for node in function.node_def)):
        node.attr.pop("_lower_using_switch_merge", None)  # tf2onnx knows While and If, but not what they are lowered to
    return frozen


def _tables(tf: Any, session: Any, frozen: Any) -> dict[bytes, tuple[Any, Any]]:
    """Keys and values of lookup tables, which ONNX holds as constants, by the tables' names."""
    from tf2onnx.tf_utils import get_hash_table_info  # noqa: PLC0415 - only for SavedModels

    found = {}
    with session.graph.as_default():
        for table in get_hash_table_info(frozen):
            types = {"key_dtype": table.key_dtype, "value_dtype": table.val_dtype}
            handle = tf.raw_ops.HashTableV2(shared_name=table.shared_name, **types)
            exported = tf.raw_ops.LookupTableExportV2(
                table_handle=handle, Tkeys=table.key_dtype, Tvalues=table.val_dtype
            )
            found[table.shared_name] = tuple(session.run(exported))
    return found


def _inlined(tf: Any, frozen: Any, signature: Endpoints) -> Any:
    """The graph without calls of functions, and with constants folded."""
    from tensorflow.core.protobuf import config_pb2, meta_graph_pb2  # noqa: PLC0415 - only for SavedModels
    from tensorflow.python.grappler import tf_optimizer  # noqa: PLC0415 - as above; tf2onnx uses the same

    config = config_pb2.ConfigProto()
    config.graph_options.infer_shapes = True
    rewriting = config.graph_options.rewrite_options
    rewriting.optimizers[:] = ["constfold", "function", "dependency"]
    rewriting.min_graph_nodes = -1  # else the calls in small graphs stay
    rewriting.experimental_disable_folding_quantization_emulation = True
    with tf.Graph().as_default():
        tf.import_graph_def(frozen, name="")
        graph = tf.compat.v1.train.export_meta_graph(graph_def=frozen)
    wanted = meta_graph_pb2.CollectionDef()
    wanted.node_list.value.extend([*signature.inputs.values(), *signature.outputs.values()])
    graph.collection_def["train_op"].CopyFrom(wanted)
    return tf_optimizer.OptimizeGraph(config, graph)


def _converted(  # noqa: PLR0913, PLR0917 - what one call of tf2onnx takes
    tf: Any, tf2onnx: Any, graph: Any, signature: Endpoints, tables: Any, opset: int | None
) -> onnx.ModelProto:
    names = {tensor: name for name, tensor in (*signature.inputs.items(), *signature.outputs.items())}
    with tf.Graph().as_default() as imported:
        tf.import_graph_def(graph, name="")
        converted = tf2onnx.tfonnx.process_tf_graph(
            imported,
            opset=opset or DEFAULT_OPSET,
            input_names=list(signature.inputs.values()),
            output_names=list(signature.outputs.values()),
            tensors_to_rename=names,
            initialized_tables=tables,
        )
        model: onnx.ModelProto = tf2onnx.optimizer.optimize_graph(converted).make_model("SavedModel")
    return model


def _refused(error: Exception) -> ConversionError:
    return Unsupported(
        f"tf2onnx cannot convert the model: {one_line(error)}",
        hint="replace the operation that is named in the model, or serve the model by its own framework",
    )


def _refuse_hidden_inputs(model: onnx.ModelProto, signature: Endpoints) -> None:
    hidden = sorted({value.name for value in model.graph.input} - set(signature.inputs))
    if hidden:
        raise Unsupported(
            f"the graph needs {', '.join(hidden)}, which the signature does not name",
            hint="save the model with a signature that has all inputs",
        ).at(step=STEP)

"""Read the signatures in a `saved_model.pb` without TensorFlow, whose import takes seconds.

Only the few messages and fields that matter are declared; protobuf passes over all others. Source of the numbers:
TensorFlow's `saved_model.proto`, `meta_graph.proto`, `tensor_shape.proto` and `types.proto`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.core.errors import ModelRefused
from gateway.repository.description import Tensor
from gateway.repository.kinds.hinted import UNKNOWN

GRAPH_FILE = "saved_model.pb"
SERVING_TAG = "serve"

_MESSAGES: Mapping[str, tuple[tuple[str, int, str], ...]] = {
    "SavedModel": (("meta_graphs", 2, "*MetaGraph"),),
    "MetaGraph": (("info", 1, "MetaInfo"), ("signatures", 5, "*SignatureEntry")),
    "MetaInfo": (("tags", 4, "*string"), ("tensorflow", 5, "string")),
    "SignatureEntry": (("key", 1, "string"), ("value", 2, "Signature")),
    "Signature": (("inputs", 1, "*TensorEntry"), ("outputs", 2, "*TensorEntry")),
    "TensorEntry": (("key", 1, "string"), ("value", 2, "TensorInfo")),
    "TensorInfo": (("name", 1, "string"), ("dtype", 2, "int32"), ("shape", 3, "Shape")),
    "Shape": (("dims", 2, "*Dim"), ("unknown_rank", 3, "bool")),
    "Dim": (("size", 1, "int64"),),
}

_DATATYPES: Mapping[int, str] = {
    1: "FP32",
    2: "FP64",
    3: "INT32",
    4: "UINT8",
    5: "INT16",
    6: "INT8",
    7: "BYTES",
    9: "INT64",
    10: "BOOL",
    14: "BF16",
    17: "UINT16",
    19: "FP16",
    22: "UINT32",
    23: "UINT64",
}


@dataclass(frozen=True, slots=True)
class SignatureDef:
    """One signature; a tensor of unknown rank has the shape `UNKNOWN`, one that Triton cannot carry no datatype."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class SavedModelFile:
    """The graph for serving: its signatures by name, without TensorFlow's internal ones, and who wrote it."""

    signatures: Mapping[str, SignatureDef]
    tensorflow: str


def read_saved_model(folder: Path) -> SavedModelFile:
    """Read `saved_model.pb` in the folder.

    Raises:
        ModelRefused: it is damaged, or has no graph for serving.
    """
    from google.protobuf.message import DecodeError  # noqa: PLC0415 - only the sandbox needs it

    saved = _message_class()()
    try:
        saved.ParseFromString((folder / GRAPH_FILE).read_bytes())
    except DecodeError:
        raise ModelRefused(f"'{GRAPH_FILE}' is cut short or damaged; copy the whole folder again") from None
    graphs = [graph for graph in saved.meta_graphs if list(graph.info.tags) == [SERVING_TAG]]
    if not graphs:
        tags = ", ".join(" and ".join(graph.info.tags) or "none" for graph in saved.meta_graphs) or "none at all"
        raise ModelRefused(
            f"the SavedModel has no graph that is tagged '{SERVING_TAG}', but {tags}; save it with "
            "tf.saved_model.save(model, folder) or model.export(folder)"
        )
    entries = {entry.key: entry.value for entry in graphs[0].signatures if not entry.key.startswith("__")}
    return SavedModelFile(
        {name: SignatureDef(_tensors(value.inputs), _tensors(value.outputs)) for name, value in entries.items()},
        str(graphs[0].info.tensorflow),
    )


def _tensors(entries: Any) -> tuple[Tensor, ...]:
    found = []
    for entry in sorted(entries, key=lambda each: str(each.key)):
        shape = entry.value.shape
        dims = UNKNOWN if shape.unknown_rank else tuple(int(dim.size) for dim in shape.dims)
        # Sparse and ragged tensors have no name: they are made of several.
        datatype = _DATATYPES.get(entry.value.dtype, "") if entry.value.name else ""
        found.append(Tensor(str(entry.key), datatype, dims))
    return tuple(found)


def _message_class() -> Any:
    """The class of `SavedModel`, in a pool of its own that does not meet TensorFlow's."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # noqa: PLC0415 - only the sandbox

    file = descriptor_pb2.FileDescriptorProto(name="saved_model.proto", package="read", syntax="proto3")
    scalars = {
        "string": descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
        "int32": descriptor_pb2.FieldDescriptorProto.TYPE_INT32,
        "int64": descriptor_pb2.FieldDescriptorProto.TYPE_INT64,
        "bool": descriptor_pb2.FieldDescriptorProto.TYPE_BOOL,
    }
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            declared = message.field.add(name=field, number=number)
            declared.label = declared.LABEL_REPEATED if kind.startswith("*") else declared.LABEL_OPTIONAL
            plain = kind.removeprefix("*")
            declared.type = scalars.get(plain, declared.TYPE_MESSAGE)
            if plain not in scalars:
                declared.type_name = f".read.{plain}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("read.SavedModel"))

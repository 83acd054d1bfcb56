"""The Open Inference Protocol over gRPC, sans I/O: a message's bytes to what the gateway must know of them.

Rules:
- Messages are never parsed into objects. A scanner walks the top-level fields, skipping each by its length, and reads
  the few strings it needs; tensor bytes are not touched.
- protobuf lets a scalar field come twice and keeps the last one. A scanner that stopped at the first would let a
  client be judged as model A and executed as model B: so all fields are scanned, and one of those that say what the
  request is about, given twice, is refused.

Source: grpc_service.proto of the Open Inference Protocol; the wire format of protocol buffers.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.core.call import Body, Metadata, Operation, Sequence
from gateway.core.errors import InvalidRequest
from gateway.wire import infer_proto
from gateway.wire.protobuf import BYTES, fields, length_delimited

SERVICE = "inference.GRPCInferenceService"


class Head(NamedTuple):
    """What a request message is about."""

    model: str = ""
    version: str = ""
    request_id: str = ""
    sequence: Sequence | None = None


class Method(NamedTuple):
    """One RPC of the service.

    Attributes:
        operation: what it means.
        fields: number of a field of its request -> the attribute of `Head` that it is.
        streaming: whether both sides send any number of messages.
    """

    operation: Operation
    fields: dict[int, str]
    streaming: bool = False


_MODEL = {1: "model", 2: "version"}
_INFER = {**_MODEL, 3: "request_id"}
_RPCS = {
    "ServerLive": Method(Operation.SERVER_LIVE, {}),
    "ServerReady": Method(Operation.SERVER_READY, {}),
    "ServerMetadata": Method(Operation.SERVER_METADATA, {}),
    "ModelReady": Method(Operation.MODEL_READY, _MODEL),
    "ModelMetadata": Method(Operation.MODEL_METADATA, _MODEL),
    "ModelInfer": Method(Operation.INFER, _INFER),
    "ModelStreamInfer": Method(Operation.STREAM_INFER, _INFER, streaming=True),
    "ModelConfig": Method(Operation.MODEL_CONFIG, _MODEL),
    "ModelStatistics": Method(Operation.MODEL_STATISTICS, _MODEL),
    "RepositoryIndex": Method(Operation.REPOSITORY_INDEX, {}),
    "RepositoryModelLoad": Method(Operation.LOAD_MODEL, {2: "model"}),
    "RepositoryModelUnload": Method(Operation.UNLOAD_MODEL, {2: "model"}),
    "SystemSharedMemoryStatus": Method(Operation.SYSTEM_SHARED_MEMORY, {}),
    "SystemSharedMemoryRegister": Method(Operation.SYSTEM_SHARED_MEMORY, {}),
    "SystemSharedMemoryUnregister": Method(Operation.SYSTEM_SHARED_MEMORY, {}),
    "CudaSharedMemoryStatus": Method(Operation.CUDA_SHARED_MEMORY, {}),
    "CudaSharedMemoryRegister": Method(Operation.CUDA_SHARED_MEMORY, {}),
    "CudaSharedMemoryUnregister": Method(Operation.CUDA_SHARED_MEMORY, {}),
    "TraceSetting": Method(Operation.TRACE_SETTING, {2: "model"}),
    "LogSettings": Method(Operation.LOG_SETTING, {}),
}
METHODS: dict[str, Method] = {f"/{SERVICE}/{name}": method for name, method in _RPCS.items()}
"""The closed table of methods that are served."""

_INFER_PATHS = frozenset({f"/{SERVICE}/ModelInfer", f"/{SERVICE}/ModelStreamInfer"})

LIVE = b"\x08\x01"
"""A ServerLiveResponse that says yes: field 1, a varint, true."""

# What a client may say to Triton along with its message. `triton_grpc_error` asks for a stream's errors as a status.
_METADATA = frozenset({b"traceparent", b"tracestate", b"triton_grpc_error"})


def read_head(path: str, message: Body, allow_shared_memory: bool) -> Head:
    """What `message`, sent to the method at `path`, is about.

    Args:
        path: one of `METHODS`.
        message: the protocol buffer.
        allow_shared_memory: whether tensors may lie in memory of Triton's host.

    Raises:
        MalformedMessage: the bytes are not a protocol buffer.
        InvalidRequest: a field that says what the request is about comes twice or is not UTF-8, a parameter is reserved
            or of the wrong type, or a tensor is named twice.
        Forbidden: a tensor lies in shared memory.
    """
    if path in _INFER_PATHS:
        return Head(*infer_proto.read(message, allow_shared_memory))
    wanted = METHODS[path].fields
    found: dict[str, str] = {}
    for number, kind, start, end in fields(message):
        name = wanted.get(number)
        if name is None or kind != BYTES:
            continue
        if name in found:
            raise InvalidRequest(f"field {number} ({name}) is given twice; send it once")
        found[name] = infer_proto.text(message, start, end, f"field {number} ({name})")
    return Head(model=found.get("model", ""), version=found.get("version", ""))


def request_metadata(metadata: Metadata) -> Metadata:
    """The metadata of a request that goes on to Triton."""
    return tuple([pair for pair in metadata if pair[0] in _METADATA])


def stream_error(message: str, request_id: str) -> bytes:
    """A ModelStreamInferResponse that says what went wrong with one request of a stream that goes on."""
    response = length_delimited(3, request_id.encode()) if request_id else b""
    return length_delimited(1, message.encode()) + length_delimited(2, response)

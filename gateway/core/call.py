"""What travels through the gateway: one `Call` in, one `Reply` out.

Both are frozen, hold the body as the bytes that came off the socket, and are passed by reference: nothing on the way
decodes or copies a tensor. A policy that changes something makes a new one with `msgspec.structs.replace`.

They are msgspec's structs because those are made in a tenth of the time that a frozen dataclass takes, and nothing is
made more often. The garbage collector need not look at them: nothing that they hold refers back to them.

Streams are calls too. Their messages go through a `ClientStream`, and their `Reply` says how they ended.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING
from typing import Protocol as Interface

from msgspec import Struct

if TYPE_CHECKING:
    from gateway.core.deadline import Deadline

Metadata = tuple[tuple[bytes, bytes], ...]
"""HTTP headers or gRPC metadata: lower-case names, in the order they came."""

Body = bytes | bytearray
"""What came off a socket. A bytearray is one that was received in place; nobody writes to it afterwards."""


class Protocol(Enum):
    """The wire protocol that a call came by, and leaves by."""

    HTTP = "http"
    GRPC = "grpc"


class Operation(Enum):
    """The calls of the Open Inference Protocol and of Triton's extensions of it."""

    INFER = "infer"
    GENERATE = "generate"
    GENERATE_STREAM = "generate_stream"  # HTTP only: one request, a stream of events
    STREAM_INFER = "stream_infer"  # gRPC only: a stream of requests, a stream of responses
    MODEL_METADATA = "model_metadata"
    MODEL_CONFIG = "model_config"
    MODEL_READY = "model_ready"
    MODEL_STATISTICS = "model_statistics"
    SERVER_METADATA = "server_metadata"
    SERVER_LIVE = "server_live"
    SERVER_READY = "server_ready"
    REPOSITORY_INDEX = "repository_index"
    LOAD_MODEL = "load_model"
    UNLOAD_MODEL = "unload_model"
    TRACE_SETTING = "trace_setting"
    LOG_SETTING = "log_setting"
    SYSTEM_SHARED_MEMORY = "system_shared_memory"
    CUDA_SHARED_MEMORY = "cuda_shared_memory"


INFERENCE = frozenset({Operation.INFER, Operation.GENERATE, Operation.GENERATE_STREAM, Operation.STREAM_INFER})
"""The operations that run a model."""


class Sequence(Struct, frozen=True, gc=False):
    """The place of a request in a sequence: all requests of one sequence must reach the same Triton.

    Attributes:
        id: the sequence's id, a number or a text, as text.
        start: whether the sequence starts with this request.
        end: whether it ends with this request.
    """

    id: str
    start: bool = False
    end: bool = False


class Call(Struct, frozen=True, gc=False):
    """One request on its way to Triton.

    Attributes:
        protocol: how it came; it goes on the same way.
        operation: which call of the protocol it is.
        line: what was called: the request line's method and path ("POST /v2/models/m/infer", without the query), or the
            gRPC method's path. An upstream goes by `operation`, `model` and `version` where these say it all, and by
            this where they do not (settings, shared memory, the repository).
        model: the model's name as the client wrote it, empty for server-wide operations.
        version: the model's version as the client wrote it, empty for "the server chooses".
        request_id: names this request in logs and in its reply.
        metadata: what the client sent along; the upstream passes on what Triton may see of it.
        body: the request's bytes: HTTP body or gRPC message.
        head_len: length in bytes of the part of `body` that is not tensor data; all of it unless the protocol says so.
        deadline: when the client stops waiting.
        sequence: the sequence that an inference belongs to, if any.
        principal: who asks; empty for anonymous.
        target: which upstream, or which group of them, is to answer; empty for any that is in no group.
        peer: the address that the client's connection comes from; empty if that is not known.
        prefix: HTTP: what stood before /v2 in the path.
        route: the name of the route that it takes; empty for none.
        variant: the name of the route's target that answers it; empty for none.
        retry: whether another upstream may be asked where one fails.
        added: headers that the operator has Triton told, which go on whatever they are.
    """

    protocol: Protocol
    operation: Operation
    line: bytes
    model: str
    version: str
    request_id: str
    metadata: Metadata
    body: Body
    head_len: int
    deadline: Deadline
    sequence: Sequence | None = None
    principal: str = ""
    target: str = ""
    peer: str = ""
    prefix: str = ""
    route: str = ""
    variant: str = ""
    retry: bool = True
    added: Metadata = ()


class Reply(Struct, frozen=True, gc=False):
    """The answer to a `Call`, in the protocol of the call; of a stream, how it ended.

    Attributes:
        status: an HTTP status, or a gRPC status code (0 is OK).
        metadata: headers or trailing metadata for the client.
        body: the answer's bytes: HTTP body or gRPC message.
        message: the gRPC status message; unused in HTTP, where the body says it.
        variant: the name of the route's target that gave it; empty for none.
    """

    status: int
    metadata: Metadata = ()
    body: Body = b""
    message: str = ""
    variant: str = ""


class ClientStream(Interface):
    """The client's end of a stream, as policies and upstreams see it."""

    async def receive(self) -> Body | None:
        """The client's next message; None when it has said all. HTTP streams have none: the call's body is all."""
        ...

    async def start(self, metadata: Metadata) -> None:
        """Say that the stream is on: HTTP sends status 200 and these headers, gRPC its initial metadata. Once."""
        ...

    async def send(self, message: Body) -> None:
        """Give the client one message (gRPC) or piece (HTTP), after `start`; waits while the client reads slowly.

        Raises:
            ClientGone: nobody is there to read it.
        """
        ...

"""What travels through the gateway: one `Call` in, one `Reply` out.

Both are frozen, hold the body as the bytes that came off the socket, and are passed by reference: nothing on the way
decodes or copies a tensor. A policy that changes something makes a new one with `dataclasses.replace`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.core.deadline import Deadline

Metadata = tuple[tuple[bytes, bytes], ...]
"""HTTP headers or gRPC metadata: lower-case names, in the order they came."""


class Protocol(Enum):
    """The wire protocol that a call came by, and leaves by."""

    HTTP = "http"
    GRPC = "grpc"


class Operation(Enum):
    """The calls of the Open Inference Protocol that the gateway serves; one request, one reply each."""

    INFER = "infer"
    MODEL_METADATA = "model_metadata"
    MODEL_CONFIG = "model_config"
    MODEL_READY = "model_ready"
    SERVER_METADATA = "server_metadata"
    SERVER_LIVE = "server_live"
    SERVER_READY = "server_ready"
    REPOSITORY_INDEX = "repository_index"


@dataclass(frozen=True, slots=True)
class Call:
    """One request on its way to Triton.

    Attributes:
        protocol: how it came; it goes on the same way.
        operation: which call of the protocol it is.
        model: the model's name as the client wrote it, empty for server-wide operations.
        version: the model's version as the client wrote it, empty for "the server chooses".
        request_id: names this request in logs and in its reply.
        metadata: what the client sent along; the upstream passes on what Triton may see of it.
        body: the request's bytes: HTTP body or gRPC message.
        head_len: length in bytes of the part of `body` that is not tensor data; all of it unless the protocol says so.
        deadline: when the client stops waiting.
        principal: who asks; empty for anonymous.
        target: which upstream is to answer; empty for any.
    """

    protocol: Protocol
    operation: Operation
    model: str
    version: str
    request_id: str
    metadata: Metadata
    body: bytes
    head_len: int
    deadline: Deadline
    principal: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a `Call`, in the protocol of the call.

    Attributes:
        status: an HTTP status, or a gRPC status code (0 is OK).
        metadata: headers or trailing metadata for the client.
        body: the answer's bytes: HTTP body or gRPC message.
        message: the gRPC status message; unused in HTTP, where the body says it.
    """

    status: int
    metadata: Metadata = ()
    body: bytes = b""
    message: str = ""

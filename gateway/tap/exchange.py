"""What goes through the side door: a request with what was answered to it, as bytes that nobody has decoded."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Answer(Struct, frozen=True, gc=False, array_like=True):
    """What one target answered.

    Attributes:
        target: the name of the target.
        model: the model that was asked.
        version: its version as it was asked for; empty for "the server chooses".
        status: HTTP status or gRPC code.
        body: HTTP body or gRPC message.
        header_length: HTTP: bytes of `body` that are its JSON head; None where no header says so: all of it is.
        encoding: HTTP: its content encoding, such as gzip; empty for none.
        message: the gRPC status message.
        seconds: until it was there.
    """

    target: str
    model: str
    version: str
    status: int
    body: bytes
    header_length: int | None
    encoding: str
    message: str
    seconds: float


class Exchange(Struct, frozen=True, gc=False, array_like=True):
    """One request and its answers.

    Attributes:
        purpose: what is to be done with it.
        route: the route that it took; empty for none.
        mirror: the name of the mirror, to compare.
        epoch: the window in which it was measured, for a canary; empty for none.
        protocol: by which it came.
        model: the public name by which it was called.
        version: as the client wrote it.
        request_id: its name.
        tenant: whose it is; empty if that is not known.
        arrived: when, in nanoseconds since 1970.
        request: HTTP body (decompressed) or gRPC message.
        header_length: HTTP: bytes of `request` that are its JSON head; None where no header says so: all of it is.
        answers: of the one target that was asked, or of baseline and candidate.
    """

    purpose: Literal["record", "compare"]
    route: str
    mirror: str
    epoch: str
    protocol: Literal["http", "grpc"]
    model: str
    version: str
    request_id: str
    tenant: str
    arrived: int
    request: bytes
    header_length: int | None
    answers: tuple[Answer, ...]

    @property
    def size(self) -> int:
        """Bytes of its bodies."""
        return len(self.request) + sum(len(answer.body) for answer in self.answers)

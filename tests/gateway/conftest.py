"""Calls, and a data plane over the fake upstream, for the tests of every room."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from gateway.app import start_data
from gateway.config import Config, load
from gateway.core.call import Body, Call, Operation, Protocol, Sequence
from gateway.core.deadline import Deadline
from gateway.upstreams.fake import FakeUpstream

MakeCall = Callable[..., Call]

_MODEL_INFER = b"/inference.GRPCInferenceService/ModelInfer"


@pytest.fixture
def make_call() -> MakeCall:
    """A call with sensible values for what a test does not care about."""

    def make(
        protocol: Protocol = Protocol.HTTP,
        operation: Operation = Operation.INFER,
        model: str = "echo",
        version: str = "",
        body: Body = b"",
        seconds: float = 10.0,
        metadata: tuple[tuple[bytes, bytes], ...] = (),
        line: bytes | None = None,
        sequence: Sequence | None = None,
        target: str = "",
    ) -> Call:
        if line is None:
            line = b"POST /v2/models/echo/infer" if protocol is Protocol.HTTP else _MODEL_INFER
        return Call(
            protocol=protocol,
            operation=operation,
            line=line,
            model=model,
            version=version,
            request_id="a-request",
            metadata=metadata,
            body=body,
            head_len=len(body),
            deadline=Deadline.after(seconds),
            sequence=sequence,
            target=target,
        )

    return make


@dataclass
class FakeGateway:
    """A gateway whose Triton is the fake.

    Attributes:
        http: "host:port" of its HTTP front end.
        grpc: "host:port" of its gRPC front end.
        upstream: what stands for Triton.
        config: its configuration.
    """

    http: str
    grpc: str
    upstream: FakeUpstream
    config: Config


@pytest.fixture
def config() -> Config:
    """Free ports on loopback, and limits small enough to hit."""
    return load(
        None,
        (
            "http={host: 127.0.0.1, port: 0, max_body_bytes: 100000}",
            "grpc={host: 127.0.0.1, port: 0, max_message_bytes: 100000}",
            "control={port: 0}",
            "limits={deadline_seconds: 5, drain_seconds: 1}",
        ),
    )


@pytest.fixture
async def fake_gateway(config: Config) -> AsyncIterator[FakeGateway]:
    """Both front ends over one fake upstream."""
    upstream = FakeUpstream()
    async with AsyncExitStack() as stack:
        addresses = await start_data(config, stack, upstream)
        yield FakeGateway(addresses["http"], addresses["grpc"], upstream, config)

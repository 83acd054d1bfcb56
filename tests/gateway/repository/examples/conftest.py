"""A started gateway for examples to call, with a Triton behind it that keeps what it was sent."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from tritonclient.grpc import service_pb2
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor, triton_to_np_dtype

from gateway.app import start_data
from gateway.config import load
from gateway.core.call import Call, Operation, Protocol, Reply
from gateway.repository.catalog import Entry
from gateway.upstreams.fake import FakeUpstream

Received = dict[str, "np.ndarray[Any, Any]"]


@dataclass
class Called:
    """A gateway, and what was sent to it.

    Attributes:
        http, grpc: "host:port" of its front ends.
        entry: the model that it serves.
        received: the input tensors of each inference.
    """

    http: str
    grpc: str
    entry: Entry
    received: list[Received] = field(default_factory=list)


class KeepingUpstream(FakeUpstream):
    """Answers every inference with [1.5, -2] in each output of the model."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.called: Called | None = None

    def _answer(self, call: Call) -> Reply:
        assert self.called is not None
        if call.operation is not Operation.INFER:
            return super()._answer(call)
        if call.protocol is Protocol.GRPC:
            return self._grpc(call)
        head = json.loads(bytes(call.body[: call.head_len]))
        self.called.received.append(_inputs(head["inputs"], bytes(call.body[call.head_len :])))
        outputs, blobs = [], b""
        for tensor in self.called.entry.outputs:
            output: dict[str, Any] = {"name": tensor.name, "shape": [1, 2], "datatype": tensor.datatype}
            raw = answer(tensor.datatype)
            if tensor.datatype in ("FP16", "BF16"):
                blobs += raw.tobytes()
                output["parameters"] = {"binary_data_size": 4}
            else:
                output["data"] = raw.ravel().tolist()
            outputs.append(output)
        text = json.dumps({"model_name": call.model, "outputs": outputs}).encode()
        kind = [(b"content-type", b"application/octet-stream" if blobs else b"application/json")]
        kind += [(b"inference-header-content-length", b"%d" % len(text))] if blobs else []
        return Reply(200, tuple(kind), text + blobs)

    def _grpc(self, call: Call) -> Reply:
        assert self.called is not None
        request = service_pb2.ModelInferRequest.FromString(bytes(call.body))
        self.called.received.append(
            {
                tensor.name: _array(raw, tensor.datatype, tensor.shape)
                for tensor, raw in zip(request.inputs, request.raw_input_contents, strict=True)
            }
        )
        reply = service_pb2.ModelInferResponse(model_name=call.model)
        for tensor in self.called.entry.outputs:
            reply.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=[1, 2])
            raw = answer(tensor.datatype)
            reply.raw_output_contents.append(
                serialize_byte_tensor(raw).item() if tensor.datatype == "BYTES" else raw.tobytes()
            )
        return Reply(0, body=reply.SerializeToString())


def answer(datatype: str) -> "np.ndarray[Any, Any]":
    """What an output of the datatype is answered with."""
    if datatype == "BYTES":
        return np.array([["one", "zwei"]], dtype=object)
    return np.array([[1.5, -2]]).astype(triton_to_np_dtype(datatype))


def _inputs(described: list[dict[str, Any]], blobs: bytes) -> Received:
    arrays: Received = {}
    position = 0
    for tensor in described:
        size = tensor.get("parameters", {}).get("binary_data_size")
        if size is None:
            dtype = triton_to_np_dtype(tensor["datatype"])
            arrays[tensor["name"]] = np.array(tensor["data"], dtype=dtype).reshape(tensor["shape"])
        else:
            raw = blobs[position : position + size]
            arrays[tensor["name"]] = _array(raw, tensor["datatype"], tensor["shape"])
            position += size
    assert position == len(blobs)
    return arrays


def _array(raw: bytes, datatype: str, shape: Any) -> "np.ndarray[Any, Any]":
    if datatype == "BYTES":
        texts = [each.decode() for each in deserialize_bytes_tensor(raw)]
        return np.array(texts, dtype=object).reshape(list(shape))
    return np.frombuffer(raw, dtype=triton_to_np_dtype(datatype)).reshape(list(shape))


@pytest.fixture
async def called(request: pytest.FixtureRequest) -> AsyncIterator[Called]:
    """A gateway that serves the model that the test is parametrized with."""
    entry: Entry = request.param
    upstream = KeepingUpstream(entry.name)
    config = load(None, ("http={host: 127.0.0.1, port: 0}", "grpc={host: 127.0.0.1, port: 0}"))
    async with AsyncExitStack() as stack:
        addresses = await start_data(config, stack, upstream)
        upstream.called = Called(addresses["http"], addresses["grpc"], entry)
        yield upstream.called


async def run(*command: str, cwd: Any = None, text: str | None = None) -> str:
    """Run a command beside the gateway of this process; what it printed."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=cwd, stdin=pipe, stdout=pipe, stderr=pipe)
    async with asyncio.timeout(30):
        out, problems = await process.communicate(None if text is None else text.encode())
    assert (process.returncode, problems.decode()) == (0, ""), out.decode()
    return out.decode()

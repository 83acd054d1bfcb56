"""A model behind a fake Triton, and a log of requests for it."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from gateway.core.call import Call, ClientStream, Operation, Protocol, Reply
from gateway.tap.datatypes import DecodedRequest, Tensor, to_bytes
from gateway.tap.exchange import Exchange
from gateway.tap.recording.places import FolderPlace
from gateway.tap.recording.segment import Recorded, SegmentName, encoded
from gateway.tap.tensors import request_tensors
from gateway.upstreams.fake import FakeUpstream

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from tritonclient.grpc import service_pb2

ARRIVED = 1_769_860_800_123_456_789


class Doubles(FakeUpstream):
    """Models named `echo` and `other` whose output `y` is `factor` times the input `x`.

    Args:
        factor: for requests whose `x` begins below `until`.
        until: from there on the factor is 3.
        fails: requests whose `x` begins with one of these are refused.
    """

    def __init__(self, factor: float = 2.0, until: float = np.inf, fails: tuple[float, ...] = ()) -> None:
        super().__init__()
        self.ready.add("other")
        self._factor, self._until, self._fails = factor, until, fails

    async def infer(self, call: Call) -> Reply:
        """Answer, in binary."""
        if call.operation is not Operation.INFER:
            return await super().infer(call)
        self.calls.append(call)
        over_http = call.protocol is Protocol.HTTP
        x = asked(call).tensors[0].data
        first = float(x.reshape(-1)[0])
        if first in self._fails:
            return Reply(400, body=b'{"error": "no such thing"}') if over_http else Reply(3, message="no such thing")
        y = Tensor("y", "FP32", x.shape, x * np.float32(self._factor if first < self._until else 3))
        return reply(over_http, y)

    async def stream(self, call: Call, client: ClientStream) -> Reply:
        """There are none."""
        raise NotImplementedError


def asked(call: Call) -> DecodedRequest:
    """What a call asks for."""
    over_http = call.protocol is Protocol.HTTP
    length = call.head_len if over_http and call.head_len < len(call.body) else None
    protocol = "http" if over_http else "grpc"
    return request_tensors(Exchange("record", "", "", "", protocol, "", "", "", "", 0, bytes(call.body), length, ()))  # type: ignore[arg-type]


def reply(over_http: bool, tensor: Tensor) -> Reply:
    """One output, in binary."""
    blob = to_bytes(tensor)
    if not over_http:
        message = service_pb2.ModelInferResponse(raw_output_contents=[blob])
        message.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        return Reply(0, body=message.SerializeToString())
    output: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}
    head = json.dumps({"outputs": [output | {"parameters": {"binary_data_size": len(blob)}}]}).encode()
    return Reply(200, ((b"inference-header-content-length", str(len(head)).encode()),), head + blob)


def recorded(number: float, **more: Any) -> Recorded:
    """A request whose `x` is `number` and `number` + 1, with twice that as its answer."""
    x = np.array([[number, number + 1]], np.float32)
    given: dict[str, Any] = {
        "model": "echo",
        "version": "",
        "protocol": "http",
        "arrived": ARRIVED + round(number * 10**9),
        "request": DecodedRequest((Tensor("x", "FP32", x.shape, x),), {}, ()),
        "outputs": (Tensor("y", "FP32", x.shape, 2 * x),),
        "target": "echo-1",
        "seconds": 0.004,
    }
    return Recorded(**given | more)


async def log_of(folder: Path, *requests: Recorded) -> str:
    """A log of these, in a segment for each model."""
    for model in sorted({each.model for each in requests}):
        of_it = [each for each in requests if each.model == model]
        await FolderPlace(folder).write(model, SegmentName.of(of_it, 4711), *encoded(of_it))
    return str(folder)

"""The format of recorded requests: pure, from requests to the bytes of two files and back.

A log is a folder, or a prefix in an object store, with a folder for each model, by the name that clients call it. In
that are segments: two files each, of one name, `<number>-<requests>.safetensors` and `<number>-<requests>.jsonl`.

- The number is the time at which the segment's earliest request arrived, in nanoseconds since 1970, and behind it seven
  digits of the process that wrote it: segments sort as their requests came. Behind the dash is how many those are, so
  that whoever counts need not open anything.
- A segment exists if its `.jsonl` does, which appears last and goes first. Names that begin with a dot are still being
  written.

The `.safetensors` file holds the tensors, as `<n>/in/<name>` and `<n>/out/<name>`: numbers natively (FP16 as F16, BF16
as BF16), and BYTES as U8 of one dimension, row by row, each element with its length before it in four bytes,
little-endian. The `.jsonl` file has one line of JSON for each request, in the order of arrival:

    {"format": 1, "n": 0, "model": "ocr", "version": "", "protocol": "http",
     "arrived": "2026-01-31T12:00:00.123456Z", "arrived_ns": 1769860800123456789,
     "inputs": [{"name": "image", "datatype": "FP32", "shape": [1, 3, 224, 224]}],
     "outputs": [{"name": "text", "datatype": "BYTES", "shape": [1, 1]}],
     "requested": [], "classification": {}, "parameters": {}, "generate": false, "redacted": ["parameters"],
     "request_id": "", "tenant": "", "target": "ocr-3", "seconds": 0.012}

- `format`: 1. Readers refuse others, and pass over keys that they do not know.
- `n`: of the tensors' names.
- `model`, `version`: as the client named them; the version is empty if it named none.
- `inputs`, `outputs`: in the request's order. `outputs` is null where the answer was not kept.
- `requested`: names of the outputs that the client asked for; none means all. `classification`: of how many classes.
- `parameters`: of the request as a whole, as far as they were kept.
- `generate`: whether it is a generate request, whose members are the tensors.
- `redacted`: what is not as the client sent it or Triton answered it: `in/<name>` and `out/<name>` are zeros or empty
  texts of the same shape, `parameters` says that some are missing.
- `request_id`, `tenant`: empty where they were left out.
- `target`: what answered, and `seconds`: after how long. Empty and null where that is not known.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
from msgspec import Struct
from safetensors import SafetensorError, TensorSpec, deserialize, serialize

from gateway.tap.datatypes import DecodedRequest, Tensor, Undecodable, from_bytes, to_bytes

FORMAT = 1
TENSORS, LINES = ".safetensors", ".jsonl"

_PIDS = 10**7
_NAME = re.compile(r"(\d{8,30})-(\d{1,9})")
_LENGTH = 4  # bytes before each element of BYTES
_NATIVE = {
    "BOOL": "bool", "INT8": "int8", "INT16": "int16", "INT32": "int32", "INT64": "int64", "UINT8": "uint8",
    "UINT16": "uint16", "UINT32": "uint32", "UINT64": "uint64", "FP16": "float16", "BF16": "bfloat16",
    "FP32": "float32", "FP64": "float64",
}  # fmt: skip


class Damaged(Exception):
    """A segment is not what this module wrote; the message says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """One request of a log.

    Attributes:
        model: as the client named it.
        version: the same; empty for "the server chooses".
        protocol: by which it came.
        arrived: when, in nanoseconds since 1970.
        request: what it asks for.
        outputs: the tensors of the answer; None where it was not kept.
        redacted: what is not as it was, as the format says.
        request_id: its name; empty if that was not kept.
        tenant: whose it is; empty if that was not kept.
        target: what answered.
        seconds: after how long; None if nobody knows.
    """

    model: str
    version: str
    protocol: Literal["http", "grpc"]
    arrived: int
    request: DecodedRequest
    outputs: tuple[Tensor, ...] | None
    redacted: tuple[str, ...] = ()
    request_id: str = ""
    tenant: str = ""
    target: str = ""
    seconds: float | None = None

    @property
    def size(self) -> int:
        """Bytes that its tensors take, nearly."""
        return sum(_size(tensor) for tensor in (*self.request.tensors, *(self.outputs or ())))


class SegmentName(NamedTuple):
    """The name of a segment.

    Attributes:
        number: by which segments sort.
        requests: how many it holds.
    """

    number: int
    requests: int

    @classmethod
    def of(cls, requests: Sequence[Recorded], pid: int) -> SegmentName:
        """That of a new one; there is at least one request."""
        return cls(min(each.arrived for each in requests) * _PIDS + pid % _PIDS, len(requests))

    @classmethod
    def parsed(cls, stem: str) -> SegmentName | None:
        """What the name of a file without its suffix says; None if it is none of a segment."""
        found = _NAME.fullmatch(stem)
        return cls(int(found[1]), int(found[2])) if found else None

    @property
    def arrived(self) -> int:
        """When its earliest request arrived, in nanoseconds since 1970."""
        return self.number // _PIDS

    def __str__(self) -> str:
        return f"{self.number}-{self.requests}"


class _Listed(Struct, frozen=True):
    name: str
    datatype: str
    shape: list[int]


class _Line(Struct, frozen=True, kw_only=True):
    format: int
    n: int
    model: str
    version: str
    protocol: Literal["http", "grpc"]
    arrived: str
    arrived_ns: int
    inputs: list[_Listed]
    outputs: list[_Listed] | None
    requested: list[str] = []
    classification: dict[str, int] = {}
    parameters: dict[str, Any] = {}
    generate: bool = False
    redacted: list[str] = []
    request_id: str = ""
    tenant: str = ""
    target: str = ""
    seconds: float | None = None


class _Format(Struct, frozen=True):
    format: int


def check(request: Recorded) -> None:
    """Refuse a request that no segment can hold.

    Raises:
        Undecodable: a tensor is there twice, or a name or a parameter is nothing that JSON can say.
    """
    for tensors in (request.request.tensors, request.outputs or ()):
        if len({tensor.name for tensor in tensors}) < len(tensors):
            raise Undecodable("a tensor is there twice")
    try:
        msgspec.json.encode(_line(0, request))
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise Undecodable("a name or a parameter is nothing that JSON can say") from None


def encoded(requests: Sequence[Recorded]) -> tuple[bytes, bytes]:
    """The contents of the two files of a segment.

    Raises:
        Undecodable: a request cannot be in one, as `check` says.
    """
    specs: dict[str, TensorSpec] = {}
    alive: list[Any] = []  # `TensorSpec` only points to them
    lines = []
    for n, each in enumerate(sorted(requests, key=lambda request: request.arrived)):
        check(each)
        for place, tensors in (("in", each.request.tensors), ("out", each.outputs or ())):
            for tensor in tensors:
                specs[f"{n}/{place}/{tensor.name}"] = _spec(tensor, alive)
        lines.append(msgspec.json.encode(_line(n, each)))
    return bytes(serialize(specs, {"format": f"recorded requests {FORMAT}"})), b"".join(line + b"\n" for line in lines)


def decoded(tensors: bytes, lines: bytes) -> list[Recorded]:
    """The requests of a segment.

    Raises:
        Damaged: the files are not those of one segment, or of a format that is not known.
    """
    try:
        stored = {name: bytes(told["data"]) for name, told in deserialize(tensors)}  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise Damaged(f"its {TENSORS} cannot be read: {error}") from None
    return [_request(_parsed(line), stored) for line in lines.splitlines()]


def _spec(tensor: Tensor, alive: list[Any]) -> TensorSpec:
    content = np.frombuffer(to_bytes(tensor) or b"\0", np.uint8)  # an empty one has no address
    size = content.size if tensor.data.size else 0
    alive.append(content)
    shape, native = (list(tensor.shape), _NATIVE[tensor.datatype]) if tensor.datatype != "BYTES" else ([size], "uint8")
    return TensorSpec(dtype=native, shape=shape, data_ptr=content.ctypes.data, data_len=size)


def _line(n: int, each: Recorded) -> _Line:
    return _Line(
        format=FORMAT,
        n=n,
        model=each.model,
        version=each.version,
        protocol=each.protocol,
        arrived=datetime.fromtimestamp(each.arrived / 10**9, UTC).isoformat(timespec="microseconds")[:-6] + "Z",
        arrived_ns=each.arrived,
        inputs=_listed(each.request.tensors),
        outputs=None if each.outputs is None else _listed(each.outputs),
        requested=list(each.request.outputs),
        classification=dict(each.request.classification),
        parameters=dict(each.request.parameters),
        generate=each.request.generate,
        redacted=list(each.redacted),
        request_id=each.request_id,
        tenant=each.tenant,
        target=each.target,
        seconds=each.seconds,
    )


def _listed(tensors: Sequence[Tensor]) -> list[_Listed]:
    return [_Listed(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in tensors]


def _parsed(line: bytes) -> _Line:
    try:
        found = msgspec.json.decode(line, type=_Format).format
        if found != FORMAT:
            raise Damaged(f"it is of format {found}, and this version reads {FORMAT}")
        return msgspec.json.decode(line, type=_Line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Damaged(f"its {LINES} has a line that is none of a request: {error}") from None


def _request(line: _Line, stored: dict[str, bytes]) -> Recorded:
    def tensors(listed: list[_Listed], place: str) -> tuple[Tensor, ...]:
        return tuple(_tensor(each, f"{line.n}/{place}/{each.name}", stored) for each in listed)

    return Recorded(
        model=line.model,
        version=line.version,
        protocol=line.protocol,
        arrived=line.arrived_ns,
        request=DecodedRequest(
            tensors(line.inputs, "in"), line.parameters, tuple(line.requested), line.classification, line.generate
        ),
        outputs=None if line.outputs is None else tensors(line.outputs, "out"),
        redacted=tuple(line.redacted),
        request_id=line.request_id,
        tenant=line.tenant,
        target=line.target,
        seconds=line.seconds,
    )


def _tensor(listed: _Listed, key: str, stored: dict[str, bytes]) -> Tensor:
    try:
        data = from_bytes(stored.pop(key), listed.datatype, listed.shape, key)
    except KeyError:
        raise Damaged(f"its {TENSORS} lacks the tensor {key!r:.100}") from None
    except Undecodable as error:
        raise Damaged(f"its tensor {error.message}") from None
    return Tensor(listed.name, listed.datatype, data.shape, data)


def _size(tensor: Tensor) -> int:
    if tensor.datatype != "BYTES":
        return tensor.data.nbytes
    return sum(len(element) for element in tensor.data.flat) + _LENGTH * tensor.data.size

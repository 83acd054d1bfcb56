"""The inputs in a `ModelInferRequest`, as gRPC carries it."""

from __future__ import annotations

import warnings
from typing import Any

from converters.arrays import Array, Feeds
from converters.data.decode import from_bytes, from_list
from converters.errors import BadData, ToolMissing

_HINT = "leave this request out, and check what recorded it"
_CONTENTS = {
    "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
    "INT64": "int64_contents", "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents",
    "UINT64": "uint64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents",
}  # fmt: skip


def inputs_over_grpc(body: bytes, where: str) -> Feeds:
    """The inputs of a request.

    Args:
        body: the serialized message, without gRPC's own frame.
        where: the request, for errors.

    Raises:
        BadData: it is no such message, or the tensors are not inside it.
        ToolMissing: tritonclient, which describes the message, is not installed.
    """
    request = _parsed(body, where)
    raw = list(request.raw_input_contents)
    if raw and len(raw) != len(request.inputs):
        raise BadData(f"{where} has {len(request.inputs)} inputs, and data for {len(raw)}", hint=_HINT)
    feeds: dict[str, Array] = {}
    for index, tensor in enumerate(request.inputs):
        what = f"input '{tensor.name}' of {where}"
        if "shared_memory_region" in tensor.parameters:
            raise BadData(
                f"{what} travelled through shared memory, so it was not recorded", hint="leave this request out"
            )
        shape = list(tensor.shape)
        if raw:
            feeds[tensor.name] = from_bytes(raw[index], tensor.datatype, shape, what)
            continue
        field = _CONTENTS.get(tensor.datatype)
        if field is None:
            raise BadData(f"{what} is {tensor.datatype or 'of no type'}, which travels in binary only", hint=_HINT)
        feeds[tensor.name] = from_list(list(getattr(tensor.contents, field)), tensor.datatype, shape, what)
    return feeds


def _parsed(body: bytes, where: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the generated code, on protobuf's version
            from google.protobuf.message import DecodeError  # noqa: PLC0415 - only recorded gRPC requests need it
            from tritonclient.grpc import service_pb2  # noqa: PLC0415 - the same
    except ImportError:
        hint = "install it: pip install 'tritonclient[grpc]'"
        raise ToolMissing("reading requests over gRPC needs tritonclient", hint=hint) from None
    try:
        return service_pb2.ModelInferRequest.FromString(body)
    except DecodeError:
        raise BadData(f"{where} is no ModelInferRequest", hint=_HINT) from None

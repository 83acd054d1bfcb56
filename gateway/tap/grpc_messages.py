"""Inference over gRPC as tensors: `ModelInferRequest` and `ModelInferResponse`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf.message import DecodeError
from tritonclient.grpc import service_pb2

from gateway.tap.datatypes import DecodedRequest, Tensor, Undecodable, from_bytes, from_list, to_bytes

_CONTENTS = {
    "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
    "INT64": "int64_contents", "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents",
    "UINT64": "uint64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents",
}  # fmt: skip
_INT64 = 2**63


def parsed_request(body: bytes, where: str) -> Any:
    """A `ModelInferRequest`.

    Raises:
        Undecodable: the bytes are none.
    """
    return _parsed(service_pb2.ModelInferRequest, body, where)


def parsed_response(body: bytes, where: str) -> Any:
    """A `ModelInferResponse`.

    Raises:
        Undecodable: the bytes are none.
    """
    return _parsed(service_pb2.ModelInferResponse, body, where)


def tensors_of(listed: Sequence[Any], raw: Sequence[bytes], place: str, where: str) -> tuple[Tensor, ...]:
    """The tensors of a message.

    Args:
        listed: the message's `inputs` or `outputs`.
        raw: its `raw_input_contents` or `raw_output_contents`; empty if it has typed contents.
        place: "input" or "output".
        where: the message, for errors.

    Raises:
        Undecodable: the data does not fit what is said of it, or is not in the message.
    """
    if raw and len(raw) != len(listed):
        raise Undecodable(f"{where} has {len(listed)} {place}s, and data for {len(raw)}")
    tensors = []
    for index, tensor in enumerate(listed):
        what = f"{place} {tensor.name!r:.100} of {where}"
        if "shared_memory_region" in tensor.parameters:
            raise Undecodable(f"{what} travelled through shared memory")
        if raw:
            data = from_bytes(raw[index], tensor.datatype, tuple(tensor.shape), what)
        else:
            field = _CONTENTS.get(tensor.datatype)
            if field is None:
                raise Undecodable(f"{what} is {tensor.datatype!r:.40}, which travels in binary only")
            content = list(getattr(tensor.contents, field))
            data = from_list(content, tensor.datatype, tuple(tensor.shape), what)
        tensors.append(Tensor(tensor.name, tensor.datatype, data.shape, data))
    return tuple(tensors)


def requested(message: Any) -> tuple[tuple[str, ...], dict[str, int]]:
    """The names of the outputs that a request asks for, and of how many classes it asks for some of them."""
    classes = {
        output.name: int(output.parameters["classification"].int64_param)
        for output in message.outputs
        if "classification" in output.parameters
    }
    return tuple(output.name for output in message.outputs), classes


def parameters_of(message: Any) -> dict[str, object]:
    """The parameters of a request."""
    found: dict[str, object] = {}
    for name, parameter in message.parameters.items():
        kind = parameter.WhichOneof("parameter_choice")
        if kind is not None:
            found[name] = getattr(parameter, kind)
    return found


def grpc_request(model: str, version: str, request: DecodedRequest) -> bytes:
    """A serialized `ModelInferRequest`.

    Args:
        model: the model's name.
        version: its version; empty for "the server chooses".
        request: what is asked for.

    Raises:
        Undecodable: a datatype is unknown, or a parameter is none that gRPC has.
    """
    message = service_pb2.ModelInferRequest(model_name=model, model_version=version)
    for name, value in request.parameters.items():
        _set(message.parameters[name], name, value)
    for tensor in request.tensors:
        message.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        message.raw_input_contents.append(to_bytes(tensor))
    for name in request.outputs:
        output = message.outputs.add(name=name)
        if name in request.classification:
            output.parameters["classification"].int64_param = request.classification[name]
    serialized: bytes = message.SerializeToString()
    return serialized


def _set(parameter: Any, name: str, value: object) -> None:
    if isinstance(value, bool):
        parameter.bool_param = value
    elif isinstance(value, int) and -_INT64 <= value < 2 * _INT64:
        if value < _INT64:
            parameter.int64_param = value
        else:
            parameter.uint64_param = value
    elif isinstance(value, float):
        parameter.double_param = value
    elif isinstance(value, str):
        parameter.string_param = value
    else:
        raise Undecodable(f"parameter {name!r:.100} is {value!r:.40}; gRPC has truth values, numbers and texts")


def _parsed(kind: Any, body: bytes, where: str) -> Any:
    try:
        return kind.FromString(body)
    except DecodeError:
        raise Undecodable(f"{where} is no {kind.DESCRIPTOR.name}") from None

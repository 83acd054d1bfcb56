"""Inference over HTTP as tensors: a JSON head, and binary tensors behind it."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from gateway.tap.datatypes import DecodedRequest, Tensor, Undecodable, from_bytes, from_list, to_bytes

_MOST_DECOMPRESSED = 2**28
_MOST_JSON = 2**25  # bytes; what they become takes up to thirty times as much memory
_WINDOW = {"gzip": 31, "deflate": 15}  # what zlib calls them
_NOT_MEMBERS = frozenset({"id", "model_name", "model_version", "parameters"})

Head = dict[str, Any]


def plain(body: bytes, encoding: str, where: str) -> bytes:
    """A body without its compression.

    Raises:
        Undecodable: it is compressed in an unknown way, broken, or too large.
    """
    if encoding in {"", "identity"}:
        return body
    if encoding not in _WINDOW:
        raise Undecodable(f"{where} has the unknown encoding {encoding!r:.40}")
    reader = zlib.decompressobj(_WINDOW[encoding])
    try:
        content = reader.decompress(body, _MOST_DECOMPRESSED)
    except zlib.error:
        raise Undecodable(f"{where} is not {encoding}, as it says") from None
    if reader.unconsumed_tail or not reader.eof:
        raise Undecodable(f"{where} is cut short, or has more than {_MOST_DECOMPRESSED >> 20} MiB when decompressed")
    return content


def head_of(body: bytes, header_length: int | None, where: str) -> tuple[Head, int]:
    """The JSON of a body, and its length in bytes.

    Raises:
        Undecodable: there is none, or it is no object.
    """
    if header_length == 0:
        raise Undecodable(f"{where} is raw: it says neither names nor shapes")
    length = len(body) if header_length is None else header_length
    if length > len(body):
        raise Undecodable(f"{where} ends inside its JSON head")
    if length > _MOST_JSON:
        raise Undecodable(f"{where} has {length >> 20} MiB of JSON, the most are {_MOST_JSON >> 20}; send it in binary")
    text = body if length == len(body) else body[:length]
    try:
        head = _json(text)
    except (ValueError, RecursionError):
        raise Undecodable(f"{where} is no JSON") from None
    if not isinstance(head, dict):
        raise Undecodable(f"{where} is no JSON object")
    return head, length


@contextmanager
def no_deeper(where: str) -> Iterator[None]:
    """For whoever looks into a head, which may be nested so deeply that nothing more can be done with it.

    Raises:
        Undecodable: it is.
    """
    try:
        yield
    except RecursionError:
        raise Undecodable(f"{where} is nested too deeply") from None


def _json(text: bytes) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return json.loads(text)  # slower, but takes the NaN and Infinity that Triton writes


def tensors_of(head: Head, place: str, blobs: memoryview, where: str) -> tuple[Tensor, ...]:
    """The tensors that a head lists.

    Args:
        head: of a request or an answer.
        place: "inputs" or "outputs".
        blobs: what follows the head.
        where: the request or answer, for errors.

    Raises:
        Undecodable: the list is broken, or does not fit what follows it.
    """
    tensors, position = [], 0
    for name, datatype, shape, entry in _entries(head, place, where):
        what = f"{place[:-1]} {name!r:.100} of {where}"
        size = _binary_size(entry, what)
        if size is None:
            if "data" not in entry:
                raise Undecodable(f"{what} has no data")
            data = from_list(entry["data"], datatype, shape, what)
        else:
            if position + size > len(blobs):
                raise Undecodable(f"{what} ends too early")
            data = from_bytes(blobs[position : position + size], datatype, shape, what)
            position += size
        tensors.append(Tensor(name, datatype, data.shape, data))
    if position != len(blobs):
        raise Undecodable(f"{where} has {len(blobs) - position} bytes more than its {place}")
    return tuple(tensors)


def is_inference(head: Head, place: str) -> bool:
    """Whether a head lists tensors; that of a generate request or its answer does not."""
    entries = head.get(place)
    return isinstance(entries, list) and all(isinstance(each, dict) and "name" in each for each in entries)


def member_tensors(head: Head, where: str) -> tuple[Tensor, ...]:
    """The members of a generate request, or of an answer to one, as tensors; what has no datatype is its JSON text.

    Raises:
        Undecodable: a list holds elements of several kinds.
    """
    tensors = []
    for name, value in head.items():
        if name in _NOT_MEMBERS:
            continue
        sample = value[0] if isinstance(value, list) and value else value
        datatype = {bool: "BOOL", int: "INT64", float: "FP64", str: "BYTES"}.get(type(sample))
        if datatype is None:
            datatype, value = "BYTES", json.dumps(value, sort_keys=True)  # noqa: PLW2901 - what it is from here on
        if isinstance(value, list) and any(isinstance(each, float) for each in value):
            datatype = "FP64"  # of 1 and 2.5 the first is an integer
        shape = (len(value),) if isinstance(value, list) else ()
        tensors.append(Tensor(name, datatype, shape, from_list(value, datatype, shape, f"{name!r:.100} of {where}")))
    return tuple(tensors)


def requested(head: Head) -> tuple[tuple[str, ...], dict[str, int]]:
    """The names of the outputs that a request asks for, and of how many classes it asks for some of them."""
    names, classes = [], {}
    entries = head.get("outputs")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and isinstance(name := entry.get("name"), str):
            names.append(name)
            count = parameters_of(entry).get("classification")
            if isinstance(count, int) and count > 0:
                classes[name] = count
    return tuple(names), classes


def parameters_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a request, or of a tensor in it; none if they are no object."""
    parameters = entry.get("parameters")
    return parameters if isinstance(parameters, dict) else {}


def http_request(request: DecodedRequest) -> tuple[bytes, int]:
    """An inference request, with its tensors and the ones that it asks for in binary.

    Returns:
        the body, and how many bytes of it are its JSON head.

    Raises:
        Undecodable: a tensor's datatype is unknown.
    """
    blobs = [to_bytes(tensor) for tensor in request.tensors]
    inputs = [
        {"name": t.name, "datatype": t.datatype, "shape": t.shape, "parameters": {"binary_data_size": len(blob)}}
        for t, blob in zip(request.tensors, blobs, strict=True)
    ]
    head: Head = {"parameters": {**request.parameters, "binary_data_output": True}, "inputs": inputs}
    if request.outputs:
        classes = request.classification
        head["outputs"] = [
            {"name": name, "parameters": {"classification": classes[name]}} if name in classes else {"name": name}
            for name in request.outputs
        ]
    text = json.dumps(head).encode()
    return b"".join([text, *blobs]), len(text)


def generate_request(request: DecodedRequest) -> bytes:
    """A generate request, as JSON.

    Raises:
        Undecodable: a text is not UTF-8.
    """
    members: Head = {"parameters": dict(request.parameters)} if request.parameters else {}
    for tensor in request.tensors:
        try:
            members[tensor.name] = _texts(tensor.data.tolist())
        except UnicodeDecodeError:
            raise Undecodable(f"tensor {tensor.name!r:.100} is not UTF-8, so JSON cannot hold it") from None
    return json.dumps(members).encode()


def _texts(value: Any) -> Any:
    if isinstance(value, list):
        return [_texts(each) for each in value]
    return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else value


def _entries(head: Head, place: str, where: str) -> Iterator[tuple[str, str, list[int], Mapping[str, Any]]]:
    try:
        for entry in head.get(place) or ():
            yield str(entry["name"]), str(entry["datatype"]), list(entry["shape"]), entry
    except (KeyError, TypeError, AttributeError):
        raise Undecodable(f"{where} lists its {place} without name, datatype or shape") from None


def _binary_size(entry: Mapping[str, Any], what: str) -> int | None:
    parameters = parameters_of(entry)
    if "shared_memory_region" in parameters:
        raise Undecodable(f"{what} travelled through shared memory")
    size = parameters.get("binary_data_size")
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 0):
        raise Undecodable(f"{what} has the impossible binary_data_size {size!r:.40}")
    return size

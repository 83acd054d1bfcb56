"""The inputs in the body of an inference request over HTTP: a JSON head, and binary tensors behind it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from converters.arrays import Array, Feeds
from converters.data.decode import from_bytes, from_list
from converters.errors import BadData

_HINT = "leave this request out, and check what recorded it"


def inputs_over_http(body: bytes, header_length: int | None, where: str) -> Feeds:
    """The inputs of a request of the Open Inference Protocol.

    Args:
        body: not compressed.
        header_length: bytes of the JSON head, as `Inference-Header-Content-Length` said; None if all is JSON.
        where: the request, for errors.

    Raises:
        BadData: it is no such request, or the tensors are not inside it.
    """
    if header_length == 0:
        raise BadData(
            f"{where} is a raw request, which says neither name nor shape of its input",
            hint="leave it out; record requests with a JSON head",
        )
    length = len(body) if header_length is None else header_length
    if length > len(body):
        raise BadData(f"{where} ends inside its JSON head", hint=_HINT)
    try:
        head = json.loads(body[:length])
        inputs = [(str(entry["name"]), str(entry["datatype"]), list(entry["shape"]), entry) for entry in head["inputs"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadData(f"the head of {where} is no JSON of an inference request", hint=_HINT) from None
    feeds: dict[str, Array] = {}
    position = length
    for name, datatype, shape, entry in inputs:
        what = f"input '{name}' of {where}"
        size = _binary_size(entry, what)
        if size is None:
            if "data" not in entry:
                raise BadData(f"{what} has no data", hint=_HINT)
            feeds[name] = from_list(entry["data"], datatype, shape, what)
        else:
            if position + size > len(body):
                raise BadData(f"{what} ends too early", hint=_HINT)
            feeds[name] = from_bytes(body[position : position + size], datatype, shape, what)
            position += size
    if position != len(body):
        raise BadData(f"{where} has {len(body) - position} bytes more than its inputs", hint=_HINT)
    return feeds


def _binary_size(entry: Mapping[str, Any], what: str) -> int | None:
    parameters = entry.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise BadData(f"{what} has parameters that are no object", hint=_HINT)
    if "shared_memory_region" in parameters:
        raise BadData(f"{what} travelled through shared memory, so it was not recorded", hint="leave this request out")
    size = parameters.get("binary_data_size")
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 0):
        raise BadData(f"{what} has the impossible binary_data_size {size!r}", hint=_HINT)
    return size

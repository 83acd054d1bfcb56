"""Requests as the tap gets them, and as a log holds them."""

from __future__ import annotations

from typing import Any

import numpy as np

from gateway.tap.datatypes import DecodedRequest, Tensor
from gateway.tap.exchange import Answer, Exchange
from gateway.tap.recording.segment import Recorded
from gateway.tap.tensors import http_request

ARRIVED = 1_769_860_800_123_456_789


def tensor(name: str, datatype: str, data: Any) -> Tensor:
    """A tensor of any datatype."""
    array = np.array(data, object if datatype == "BYTES" else None)
    if datatype != "BYTES":
        named = {"FP16": "f2", "BF16": "f4", "FP32": "f4", "FP64": "f8", "BOOL": "?"}
        array = array.astype(named.get(datatype, datatype.lower()))
    return Tensor(name, datatype, array.shape, array)


def recorded(number: int = 0, **more: Any) -> Recorded:
    """The request that arrived `number` nanoseconds after the first."""
    given: dict[str, Any] = {
        "model": "ocr",
        "version": "",
        "protocol": "http",
        "arrived": ARRIVED + number,
        "request": DecodedRequest((tensor("x", "FP32", [float(number)]),), {}, ()),
        "outputs": (tensor("y", "INT64", [number]),),
    }
    return Recorded(**given | more)


def exchange(number: int = 0, *, elements: int = 1, parameters: Any = None, **more: Any) -> Exchange:
    """The same as bytes over HTTP; the input has so many elements."""
    x = tensor("x", "FP32", [float(number)] * elements)
    body, length = http_request(DecodedRequest((x,), parameters or {}, ()))
    answer = b'{"outputs": [{"name": "y", "datatype": "INT64", "shape": [1], "data": [%d]}]}' % number
    given: dict[str, Any] = {
        "purpose": "record",
        "route": "",
        "mirror": "",
        "epoch": "",
        "protocol": "http",
        "model": "ocr",
        "version": "3",
        "request_id": "mine",
        "tenant": "shop",
        "arrived": ARRIVED + number,
        "request": body,
        "header_length": length,
        "answers": (Answer("ocr-3", "ocr", "3", 200, answer, None, "", "", 0.25),),
    }
    return Exchange(**given | more)

"""The messages of ModelStreamInfer, sans I/O: whose request they are about, and whether more is to follow.

This is book-keeping: it tells a client what was lost when Triton goes away, and it judges nobody. So bytes that cannot
be parsed are no error here, and a scan stops as soon as it has what it came for.

Source: grpc_service.proto of the Open Inference Protocol; Triton's documentation of decoupled models.
"""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

from gateway.core.call import Body
from gateway.core.errors import MalformedMessage
from gateway.wire.protobuf import fields, length_delimited

_ERROR_MESSAGE, _INFER_RESPONSE = 1, 2  # of ModelStreamInferResponse
_ID = 3  # of ModelInferRequest and of ModelInferResponse
_PARAMETERS = 4  # of ModelInferResponse; Triton writes fields in their order, the tensors come behind
_MORE = b"\x0a\x15triton_final_response\x12\x02\x08\x00"  # an entry of the map: this key, bool_param false
_NO_ID = "<id_unknown>"  # what Triton writes into errors about requests without an id


class Answer(NamedTuple):
    """What a response says of its request.

    Attributes:
        request_id: the id that the client gave its request, empty for none.
        more: whether Triton says that it is not the last response to this request.
        error: what went wrong with the request, empty for nothing.
    """

    request_id: str = ""
    more: bool = False
    error: str = ""


def answer(message: Body) -> Answer:
    """What `message`, a ModelStreamInferResponse, answers."""
    request_id, more, error = "", False, ""
    with suppress(MalformedMessage):
        for number, _, start, end in fields(message):
            if number == _ERROR_MESSAGE:
                error = _text(message, start, end)
            if number != _INFER_RESPONSE:
                continue
            for inner, _, first, last in fields(message, start, end):
                if inner == _ID:
                    request_id = _text(message, first, last)
                elif inner == _PARAMETERS and message[first:last] == _MORE:
                    more = True
                elif inner > _PARAMETERS:
                    break
    return Answer("" if request_id == _NO_ID else request_id, more, error)


def with_error(message: Body, error: str) -> bytes:
    """`message`, a ModelStreamInferResponse, with other words for what went wrong."""
    others = [
        length_delimited(number, bytes(message[start:end]))
        for number, _, start, end in fields(message)
        if number != _ERROR_MESSAGE
    ]
    return b"".join((length_delimited(_ERROR_MESSAGE, error.encode()), *others))


def request_id(message: Body) -> str:
    """The id in `message`, a ModelInferRequest that may be broken; empty for none."""
    with suppress(MalformedMessage):
        for number, _, start, end in fields(message):
            if number == _ID:
                return _text(message, start, end)
    return ""


def _text(message: Body, start: int, end: int) -> str:
    return message[start:end].decode("utf-8", "replace")

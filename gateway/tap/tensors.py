"""The bodies of an exchange as tensors, and tensors as the body of a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from gateway.tap import grpc_messages, http_bodies
from gateway.tap.datatypes import DecodedRequest, Tensor, Undecodable
from gateway.tap.exchange import Answer, Exchange
from gateway.tap.grpc_messages import grpc_request
from gateway.tap.http_bodies import generate_request, http_request

__all__ = [
    "DecodedRequest",
    "Tensor",
    "Undecodable",
    "answer_tensors",
    "asked_classes",
    "failure",
    "generate_request",
    "grpc_request",
    "http_request",
    "request_tensors",
]

_HTTP_ERRORS = 400
_MOST_OF_AN_ERROR = 300


def request_tensors(exchange: Exchange) -> DecodedRequest:
    """What the request of an exchange asks for.

    Raises:
        Undecodable: its tensors are not in it, or it is broken.
    """
    where = "the request"
    if exchange.protocol == "grpc":
        message = grpc_messages.parsed_request(exchange.request, where)
        tensors = grpc_messages.tensors_of(message.inputs, message.raw_input_contents, "input", where)
        return DecodedRequest(tensors, grpc_messages.parameters_of(message), *grpc_messages.requested(message))
    head, length = http_bodies.head_of(exchange.request, exchange.header_length, where)
    parameters = http_bodies.parameters_of(head)
    with http_bodies.no_deeper(where):
        if exchange.header_length is None and not http_bodies.is_inference(head, "inputs"):
            return DecodedRequest(http_bodies.member_tensors(head, where), parameters, (), generate=True)
        tensors = http_bodies.tensors_of(head, "inputs", memoryview(exchange.request)[length:], where)
    return DecodedRequest(tensors, parameters, *http_bodies.requested(head))


def asked_classes(exchange: Exchange) -> Mapping[str, int]:
    """Of how many classes the request of an exchange asks, by output; its tensors are not looked at.

    A request that cannot be read asks for none.
    """
    where = "the request"
    try:
        if exchange.protocol == "grpc":
            return grpc_messages.requested(grpc_messages.parsed_request(exchange.request, where))[1]
        head, _ = http_bodies.head_of(exchange.request, exchange.header_length, where)
        return http_bodies.requested(head)[1]
    except Undecodable:
        return {}


def answer_tensors(protocol: Literal["http", "grpc"], answer: Answer) -> tuple[Tensor, ...]:
    """The outputs in an answer; of an answer to a generate request its members.

    Raises:
        Undecodable: it is an error, its tensors are not in it, or it is broken.
    """
    where = "the answer"
    failed = failure(protocol, answer)
    if failed:
        raise Undecodable(f"{where} is an error: {failed}")
    if protocol == "grpc":
        message = grpc_messages.parsed_response(answer.body, where)
        return grpc_messages.tensors_of(message.outputs, message.raw_output_contents, "output", where)
    body = http_bodies.plain(answer.body, answer.encoding, where)
    head, length = http_bodies.head_of(body, answer.header_length, where)
    with http_bodies.no_deeper(where):
        if answer.header_length is None and not http_bodies.is_inference(head, "outputs"):
            return http_bodies.member_tensors(head, where)
        return http_bodies.tensors_of(head, "outputs", memoryview(body)[length:], where)


def failure(protocol: Literal["http", "grpc"], answer: Answer) -> str:
    """What an answer that is an error says, with its code; empty if it is none."""
    if protocol == "grpc":
        return f"gRPC {answer.status} {answer.message[:_MOST_OF_AN_ERROR]}".strip() if answer.status else ""
    if answer.status < _HTTP_ERRORS:
        return ""
    try:
        head, _ = http_bodies.head_of(http_bodies.plain(answer.body, answer.encoding, "it"), None, "it")
        said = head.get("error")
    except Undecodable:
        said = "" if answer.encoding else answer.body[:_MOST_OF_AN_ERROR].decode("utf-8", "replace")
    return f"HTTP {answer.status} {said[:_MOST_OF_AN_ERROR] if isinstance(said, str) else ''}".strip()

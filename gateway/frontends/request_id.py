"""The id of a request: the client's own where it has a fit one, else a new one. One rule for both protocols."""

from __future__ import annotations

import random
import re

from gateway.core.call import Metadata, Reply

NAME = b"x-request-id"
_FIT = re.compile(rb"[A-Za-z0-9._:-]{1,128}")  # for logs, headers and gRPC metadata


def request_id(metadata: Metadata) -> str:
    """The id that came with the request, or a new one."""
    return given(metadata) or new()


def identified(reply: Reply, request_id: str) -> Reply:
    """`reply` with the request's id in its metadata."""
    return Reply(reply.status, (*reply.metadata, (NAME, request_id.encode())), reply.body, reply.message)


def given(metadata: Metadata) -> str:
    """The id that came with the request; empty if none did, or none that is fit."""
    for name, value in metadata:
        if name == NAME and _FIT.fullmatch(value):
            return value.decode()
    return ""


def new() -> str:
    """An id of 16 hexadecimal digits; it tells requests apart and keeps no secret."""
    return "%016x" % random.getrandbits(64)  # noqa: UP031 - faster than an f-string here

"""The id of a request: the client's own where it has a fit one, else a new one. One rule for both protocols."""

from __future__ import annotations

import os
import re

from gateway.core.call import Metadata

NAME = b"x-request-id"
_FIT = re.compile(rb"[A-Za-z0-9._:-]{1,128}")  # for logs, headers and gRPC metadata


def request_id(metadata: Metadata) -> str:
    """The id that came with the request, or a new one of 16 hexadecimal digits."""
    for name, value in metadata:
        if name == NAME and _FIT.fullmatch(value):
            return value.decode()
    return os.urandom(8).hex()

"""Types of configuration values that end up in headers: what cannot stand there is refused when it is read."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

_NAME = re.compile(r"[a-z0-9_.-]+")  # what both HTTP and gRPC take
_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:[0-9]{1,5})?")
_DEFAULT_PORT = re.compile(r"http://.*:80|https://.*:443")
_OF_THE_PROTOCOL = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "inference-header-content-length",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-request-id",
    }
)


def _name(text: str) -> str:
    if not _NAME.fullmatch(text.lower()):
        raise ValueError(f"{text!r} cannot be the name of a header; use letters, digits, '-', '_' and '.'")
    return text.lower()


def _changed(text: str) -> str:
    name = _name(text)
    if name.startswith("access-control-"):
        raise ValueError(f"header {name!r} is set by policies.cors; leave it out here")
    if name in _OF_THE_PROTOCOL or name.startswith("grpc-"):
        raise ValueError(f"header {name!r} belongs to the protocol and cannot be changed; leave it out")
    return name


def _value(text: str) -> str:
    if not _VALUE.fullmatch(text):
        raise ValueError(f"{text!r} cannot be the value of a header; use printable ASCII without spaces around it")
    return text


def _origin(text: str) -> str:
    origin = text.lower()
    if origin != "*" and (not _ORIGIN.fullmatch(origin) or _DEFAULT_PORT.fullmatch(origin)):
        raise ValueError(
            f"{text!r} is no origin as browsers send it; write scheme and host, such as https://app.example, and "
            "nothing behind them but a port that is not the scheme's own"
        )
    return origin


HeaderName = Annotated[str, AfterValidator(_name)]
"""The name of a header, in lower case."""

ChangedHeader = Annotated[str, AfterValidator(_changed)]
"""The name of a header that may be set or taken away: none that the protocols need as it is."""

HeaderValue = Annotated[str, AfterValidator(_value)]
"""What a header may say."""

Origin = Annotated[str, AfterValidator(_origin)]
"""Where a web page comes from, as browsers write it, or * for anywhere."""

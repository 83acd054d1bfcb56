from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from gateway.traffic.header_types import ChangedHeader, HeaderName, HeaderValue, Origin


def read(kind: Any, text: str) -> str:
    """The value that `text` becomes; of a refusal, its words."""
    try:
        return str(TypeAdapter(kind).validate_python(text))
    except ValidationError as error:
        return str(error.errors()[0]["msg"])


@pytest.mark.parametrize(("text", "name"), [("X-Team", "x-team"), ("a_b.c-1", "a_b.c-1"), ("Host", "host")])
def test_names_are_in_lower_case(text: str, name: str) -> None:
    assert read(HeaderName, text) == name


@pytest.mark.parametrize("kind", [HeaderName, ChangedHeader])
@pytest.mark.parametrize("text", ["", "a b", ":path", "a\n", "\u00e4", "a:"])
def test_what_cannot_be_a_name_is_refused(kind: Any, text: str) -> None:
    assert "cannot be the name of a header; use letters" in read(kind, text)


@pytest.mark.parametrize("text", ["Content-Length", "host", "grpc-status", "Transfer-Encoding", "x-request-id"])
def test_what_the_protocol_needs_stays(text: str) -> None:
    assert "belongs to the protocol and cannot be changed" in read(ChangedHeader, text)


def test_cors_has_a_section_of_its_own() -> None:
    assert "set by policies.cors" in read(ChangedHeader, "Access-Control-Allow-Origin")
    assert read(ChangedHeader, "Cache-Control") == "cache-control"


@pytest.mark.parametrize("text", ["a", "a b", "max-age=5; x", "~"])
def test_values_stay_as_they_are(text: str) -> None:
    assert read(HeaderValue, text) == text


@pytest.mark.parametrize("text", ["", " a", "a ", "a\r\nb: c", "a\n", "\u00e4", "\x00"])
def test_what_cannot_be_a_value_is_refused(text: str) -> None:
    assert "cannot be the value of a header; use printable ASCII" in read(HeaderValue, text)


@pytest.mark.parametrize(
    "text", ["https://app.example", "http://localhost:3000", "http://[::1]:81", "*", "chrome-extension://abcdef"]
)
def test_origins_are_what_browsers_send(text: str) -> None:
    assert read(Origin, text) == text
    assert read(Origin, text.upper()) == text


@pytest.mark.parametrize(
    "text",
    [
        "https://app.example/",
        "https://app.example:443",
        "http://[::1]:80",
        "app.example",
        "null",
        "https://*.example",
        "https://a\r\nx: y",
        "",
    ],
)
def test_what_no_browser_sends_is_refused(text: str) -> None:
    assert "is no origin as browsers send it; write scheme and host" in read(Origin, text)

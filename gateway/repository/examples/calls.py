"""Ready-made calls of a model, to be pasted as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.repository.catalog import Entry
from gateway.repository.examples.curl import curl_call
from gateway.repository.examples.javascript import javascript_call
from gateway.repository.examples.python import python_call

LANGUAGES = ("curl", "python-http", "python-grpc", "javascript")
"""The keys of what `calls` returns."""


def calls(entry: Entry, http: str, grpc: str) -> dict[str, str]:
    """The same call in each of `LANGUAGES`, with the values of the model's validation where they are short.

    Args:
        entry: the model.
        http: HOST:PORT of the gateway's HTTP front end.
        grpc: HOST:PORT of its gRPC front end.

    Returns:
        The text for each language; nothing where the model's inputs are not known.
    """
    if not entry.inputs:
        return {}
    writers: Mapping[str, Callable[[], str]] = {
        "curl": lambda: curl_call(entry, http),
        "python-http": lambda: python_call(entry, http, "http"),
        "python-grpc": lambda: python_call(entry, grpc, "grpc"),
        "javascript": lambda: javascript_call(entry, http),
    }
    return {language: writers[language]() for language in LANGUAGES}

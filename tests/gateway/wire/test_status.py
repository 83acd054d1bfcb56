import json

import grpc
import pytest

from gateway.core import errors
from gateway.wire import status


@pytest.mark.parametrize(
    ("error", "http", "code"),
    [
        (errors.InvalidRequest("x"), 400, grpc.StatusCode.INVALID_ARGUMENT),
        (errors.MalformedMessage("x"), 500, grpc.StatusCode.INTERNAL),
        (errors.UnknownRoute("x"), 404, grpc.StatusCode.UNIMPLEMENTED),
        (errors.MethodNotAllowed("x", allowed="GET"), 405, grpc.StatusCode.UNIMPLEMENTED),
        (errors.RequestTooLarge("x"), 413, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (errors.UnsupportedFeature("x"), 501, grpc.StatusCode.UNIMPLEMENTED),
        (errors.DeadlineExceeded("x"), 504, grpc.StatusCode.DEADLINE_EXCEEDED),
        (errors.Forbidden("x"), 403, grpc.StatusCode.PERMISSION_DENIED),
        (errors.Overloaded("x"), 429, grpc.StatusCode.RESOURCE_EXHAUSTED),
        (errors.ShuttingDown("x"), 503, grpc.StatusCode.UNAVAILABLE),
        (errors.ClientGone("x"), 499, grpc.StatusCode.CANCELLED),
        (errors.SequenceLost("x"), 503, grpc.StatusCode.UNAVAILABLE),
        (errors.UpstreamUnavailable("x"), 503, grpc.StatusCode.UNAVAILABLE),
        (errors.UpstreamBroken("x"), 503, grpc.StatusCode.UNAVAILABLE),
        (KeyError("x"), 500, grpc.StatusCode.INTERNAL),
    ],
)
def test_every_error_has_its_place_in_both_protocols(error: Exception, http: int, code: grpc.StatusCode) -> None:
    assert status.http_reply(error).status == http
    assert status.grpc_reply(error).status == code.value[0]


def test_http_errors_have_tritons_form() -> None:
    reply = status.http_reply(errors.InvalidRequest('a "quoted" reason'))
    assert reply.metadata == ((b"content-type", b"application/json"),)
    assert json.loads(reply.body) == {"error": 'a "quoted" reason'}


def test_a_refused_method_names_the_allowed_one() -> None:
    reply = status.http_reply(errors.MethodNotAllowed("Method Not Allowed", allowed="POST"))
    assert (b"allow", b"POST") in reply.metadata


@pytest.mark.parametrize(
    "error",
    [errors.Overloaded("x"), errors.ShuttingDown("x"), errors.UpstreamUnavailable("x"), errors.DeadlineExceeded("x")],
    ids=repr,
)
def test_what_passes_says_when_to_try_again(error: Exception) -> None:
    assert (b"retry-after", b"1") in status.http_reply(error).metadata
    assert (b"retry-after", b"1") in status.grpc_reply(error).metadata


def test_what_does_not_pass_does_not_ask_for_another_try() -> None:
    assert status.grpc_reply(errors.InvalidRequest("x")).metadata == ()


def test_nothing_of_a_bug_reaches_the_client() -> None:
    error = RuntimeError("secret at /etc/path")
    assert b"secret" not in status.http_reply(error).body
    assert "secret" not in status.grpc_reply(error).message

import pytest

from gateway.control.guard import refusal

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    "host", ["localhost:8082", "LOCALHOST", "127.0.0.1:1", "[::1]:8082", "10.0.0.7", "ops.example"]
)
def test_it_may_be_called_by_an_address_localhost_or_its_own_name(host: str) -> None:
    assert refusal("GET", "/", {"host": host}, {"ops.example"}) is None


@pytest.mark.parametrize(
    "host", ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "[::1", "a@b"]
)
def test_any_other_name_may_be_one_that_was_pointed_here(host: str) -> None:
    refused = refusal("GET", "/", {"host": host}, {"ops.example"})
    assert refused is not None
    assert refused[0] == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:9999", "http://localhost"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_a_page_of_another_origin_changes_nothing(origin: str, method: str) -> None:
    refused = refusal(method, "/", {"host": "localhost:8082", "origin": origin} | JSON, ())
    assert refused is not None
    assert refused[0] == 403


def test_a_page_of_its_own_may() -> None:
    assert refusal("POST", "/", {"host": "localhost:8082", "origin": "http://localhost:8082"} | JSON, ()) is None


@pytest.mark.parametrize(
    ("method", "path", "kind", "status"),
    [
        ("POST", "/v1/models/a/rollback", "application/json; charset=utf-8", None),
        ("DELETE", "/v1/models/a", "application/json", None),
        ("PUT", "/v1/models/a.onnx", "application/octet-stream", None),
        ("PUT", "/v1/routes/a/weights", "application/json", None),
        ("POST", "/v1/models/a/rollback", "text/plain", 415),
        ("POST", "/v1/models/a/rollback", "", 415),
        ("PUT", "/v1/models/a.onnx", "application/json", 415),
        ("PUT", "/v1/routes/a/weights", "application/octet-stream", 415),
        ("PUT", "/v1/aliases/a", "text/plain", 415),
        ("DELETE", "/v1/models/a", "application/x-www-form-urlencoded", 415),
    ],
)
def test_what_a_form_can_send_is_refused(method: str, path: str, kind: str, status: int | None) -> None:
    refused = refusal(method, path, {"host": "localhost", "content-type": kind}, ())
    assert (refused and refused[0]) == status

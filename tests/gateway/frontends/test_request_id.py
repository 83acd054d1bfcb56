import pytest

from gateway.frontends.request_id import NAME, request_id


def test_the_client_s_own_id_is_kept() -> None:
    assert request_id(((b"host", b"x"), (NAME, b"order-7:retry.1"))) == "order-7:retry.1"


@pytest.mark.parametrize("value", [b"", b"a b", b'"quoted"', b"line\nend", b"\xff", b"x" * 129])
def test_one_that_is_not_fit_for_logs_and_headers_is_replaced(value: bytes) -> None:
    made = request_id(((NAME, value),))
    assert len(made) == 16
    assert int(made, 16) >= 0


def test_two_requests_without_one_get_two() -> None:
    assert request_id(()) != request_id(())

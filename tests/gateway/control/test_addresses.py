import pytest

from gateway.control.addresses import addresses_for


def test_before_the_status_nothing_is_known() -> None:
    assert addresses_for({}, "localhost") is None
    assert addresses_for({"addresses": {"control": "127.0.0.1:8082"}}, "localhost") is None


@pytest.mark.parametrize(
    ("listens", "host", "expected"),
    [
        ("127.0.0.1:8080", "ops.example", "127.0.0.1:8080"),
        ("0.0.0.0:8080", "ops.example", "ops.example:8080"),
        ("[::]:8080", "::1", "[::1]:8080"),
        (":::8080", "10.0.0.7", "10.0.0.7:8080"),
        ("::1:8080", "localhost", "[::1]:8080"),
    ],
)
def test_a_front_end_everywhere_is_also_where_the_control_api_was_called(
    listens: str, host: str, expected: str
) -> None:
    assert addresses_for({"addresses": {"http": listens, "grpc": "h:1"}}, host) == (expected, "h:1")

import socket
from collections.abc import Iterator

import pytest

from gateway.config import TritonSection
from gateway.core.errors import SetupError
from gateway.triton.ports import address, choose


@pytest.fixture(params=["alone", "shared", "on all addresses"])
def listener(request: pytest.FixtureRequest) -> Iterator[int]:
    """A port on which another program listens, in each of the ways that could hide it."""
    with socket.socket() as taken:
        if request.param == "shared":
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("0.0.0.0" if request.param == "on all addresses" else "127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def section(**ports: int) -> TritonSection:
    return TritonSection(**{"http_port": 0, "grpc_port": 0, "metrics_port": 0, **ports})


def test_open_ports_are_picked_and_differ() -> None:
    ports = choose(section())
    assert len({ports.http, ports.grpc, ports.metrics}) == 3
    assert 0 not in (ports.http, ports.grpc, ports.metrics)


@pytest.mark.parametrize("key", ["http_port", "grpc_port", "metrics_port"])
def test_a_port_in_use_is_named_with_its_key(listener: int, key: str) -> None:
    with pytest.raises(SetupError, match=rf"port {listener} \(triton.{key}\) is in use .* set another triton.{key}"):
        choose(section(**{key: listener}))


def test_the_same_port_twice_is_in_use_too() -> None:
    free = choose(section()).http
    with pytest.raises(SetupError, match=rf"port {free} \(triton.grpc_port\) is in use"):
        choose(section(http_port=free, grpc_port=free))


def test_connections_that_are_only_closing_do_not_hold_a_port() -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Triton does
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        accepted.close()  # the side that closes first keeps the port in TIME_WAIT
        client.close()
    assert choose(section(http_port=port)).http == port


@pytest.mark.parametrize(
    ("host", "expected"), [("127.0.0.1", "127.0.0.1:8000"), ("localhost", "127.0.0.1:8000"), ("::1", "[::1]:8000")]
)
def test_an_address_is_written_as_clients_take_it(host: str, expected: str) -> None:
    assert address(host, 8000) == expected

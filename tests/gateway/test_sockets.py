import socket

import pytest

from gateway.config import Config, load
from gateway.core.errors import SetupError
from gateway.sockets import Listening, bind, for_workers, share


def accepted(listening: socket.socket) -> int:
    """How many connections are waiting on a socket; takes them."""
    listening.setblocking(False)
    count = 0
    while True:
        try:
            listening.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


def test_a_port_in_use_is_named() -> None:
    with bind("127.0.0.1", 0, "http.port") as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SetupError, match=rf"port {port} \(control.port\) on 127.0.0.1 is in use"):
            bind("127.0.0.1", port, "control.port")


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(SetupError, match=r"http.port: cannot listen on 203.0.113.77"):
        bind("203.0.113.77", 0, "http.port")


def test_ipv6_is_an_address_too() -> None:
    with bind("::1", 0, "http.port") as listening:
        assert listening.getsockname()[0] == "::1"


def test_connections_are_spread_over_all_who_share_a_port() -> None:
    shared = share("127.0.0.1", 0, "http.port", 3)
    [port] = {one.getsockname()[1] for one in shared}
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(90)]
    counts = [accepted(one) for one in shared]
    for one in (*shared, *clients):
        one.close()
    assert sum(counts) == 90
    assert min(counts) > 0


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("others", [1, 2])
def test_a_second_gateway_cannot_share_the_port_unnoticed(count: int, others: int) -> None:
    shared = share("127.0.0.1", 0, "http.port", others)
    port = shared[0].getsockname()[1]
    with pytest.raises(SetupError, match=rf"port {port} \(http.port\) on 127.0.0.1 is in use; stop what uses it"):
        share("127.0.0.1", port, "http.port", count)
    for one in shared:
        one.close()


def test_each_worker_has_a_socket_for_each_protocol_and_all_have_the_same_addresses(config: Config) -> None:
    workers = for_workers(config, 2)
    addresses = [worker.addresses(config) for worker in workers]
    assert addresses[0] == addresses[1]
    assert addresses[0]["http"].startswith("127.0.0.1:")
    assert len({descriptor for worker in workers for descriptor in worker.descriptors().values()}) == 4
    for worker in workers:
        worker.close()


def test_a_taken_grpc_port_leaves_no_http_port_open(config: Config) -> None:
    with bind("127.0.0.1", 0, "a test's port") as taken, bind("127.0.0.1", 0, "a free port") as free:
        busy, port = taken.getsockname()[1], free.getsockname()[1]
        free.close()
        wanted = load(None, (f"http={{host: 127.0.0.1, port: {port}}}", f"grpc={{host: 127.0.0.1, port: {busy}}}"))
        with pytest.raises(SetupError, match=r"\(grpc.port\)"):
            for_workers(wanted, 2)
        bind("127.0.0.1", port, "a free port").close()


def test_what_waits_on_a_socket_outlives_whoever_inherited_it(config: Config) -> None:
    kept = Listening.bound(config)
    inherited = Listening.inherited(*(socket.dup(number) for number in kept.descriptors().values()))
    host, _, port = kept.addresses(config)["http"].rpartition(":")
    with socket.create_connection((host, int(port))):
        inherited.close()
        assert accepted(kept.http) == 1
    kept.close()


@pytest.mark.parametrize("count", [1, 2])
def test_small_replies_leave_at_once_whatever_the_event_loop(count: int) -> None:
    sockets = share("127.0.0.1", 0, "a test's port", count)
    assert all(one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for one in sockets)
    for one in sockets[1:]:
        one.close()
    with sockets[0] as listening, socket.create_connection(listening.getsockname()):
        connection, _ = listening.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

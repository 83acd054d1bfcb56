import resource
import socket
import threading
from collections.abc import Iterator

import pytest

from benchmarks.idle import allow_connections, is_open, open_one


@pytest.fixture
def server() -> Iterator[tuple[str, list[socket.socket]]]:
    """Answers whatever comes first on each connection with two bytes, and keeps it open."""
    accepted: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(1):
                connection, _ = listener.accept()
                connection.recv(100)
                connection.sendall(b"ok")
                accepted.append(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}", accepted
        thread.join(10)
    for connection in accepted:
        connection.close()


def test_a_connection_is_open_until_the_server_closes_it(server: tuple[str, list[socket.socket]]) -> None:
    address, accepted = server
    with open_one("json", address) as connection:
        assert is_open(connection)
        while not accepted:
            pass
        accepted[0].close()
        connection.setblocking(True)
        connection.settimeout(10)
        assert connection.recv(1) == b""
        assert not is_open(connection)


def test_as_many_connections_as_files_may_be_open() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        assert allow_connections(10) == 10
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 512), min(hard, 512) if hard < 512 else hard))
        assert allow_connections(400) == 400
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= 600
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

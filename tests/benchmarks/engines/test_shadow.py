import http.client
from pathlib import Path

import pytest

from benchmarks.engines import shadow
from benchmarks.payloads import identity_reply
from benchmarks.service import listens


def ask(address: str, method: str, path: str, body: bytes = b"", seconds: float = 10) -> bytes:
    connection = http.client.HTTPConnection(address, timeout=seconds)
    try:
        connection.request(method, path, body)
        return connection.getresponse().read()
    finally:
        connection.close()


def infer(address: str, seconds: float = 10) -> bytes:
    return ask(address, "POST", "/v2/models/identity/infer", b"{}", seconds)


@pytest.mark.parametrize("state", ["healthy", "slow", "hanging", "garbage"])
def test_checks_are_answered_well_and_copies_are_counted(state: shadow.State, tmp_path: Path) -> None:
    address, service = shadow.start(state, tmp_path, ())
    assert service is not None
    with service:
        assert b"READY" in ask(address, "POST", "/v2/repository/index", b"{}")
        if state in {"healthy", "slow"}:
            assert infer(address) == identity_reply("json", 100).body
        elif state == "hanging":
            with pytest.raises(TimeoutError):
                infer(address, 0.2)
        else:
            with pytest.raises(http.client.HTTPException):
                infer(address)
        assert ask(address, "GET", "/count") == b"1"


def test_nobody_listens_where_a_dead_one_is(tmp_path: Path) -> None:
    address, service = shadow.start("dead", tmp_path, ())
    assert service is None
    assert not listens(address)

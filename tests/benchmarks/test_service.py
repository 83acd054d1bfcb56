import sys
from pathlib import Path

import pytest

from benchmarks.proc import tree
from benchmarks.service import Cores, Service, ServiceError, free_ports, listens

LISTEN = (
    "import socket, sys, time\ns = socket.create_server(('127.0.0.1', int(sys.argv[1])))\nprint('up')\ntime.sleep(600)"
)


def test_a_service_is_waited_for_and_stopped(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    address = f"127.0.0.1:{port}"
    command = [sys.executable, "-c", LISTEN, str(port)]
    with Service("it", command, tmp_path, http=address).wait(lambda: listens(address), 20) as service:
        assert tree(service.pid) == [service.pid]
    assert not listens(address)
    assert service.process.returncode is not None


def test_one_that_ends_at_once_is_told_with_its_log(tmp_path: Path) -> None:
    service = Service("it", [sys.executable, "-c", "raise SystemExit('no luck')"], tmp_path)
    with pytest.raises(ServiceError, match="it ended at once; its log ends: no luck"):
        service.wait(lambda: False, 20)


def test_one_that_is_never_ready_is_stopped(tmp_path: Path) -> None:
    service = Service("it", [sys.executable, "-c", "import time; time.sleep(600)"], tmp_path)
    with pytest.raises(ServiceError, match="was not ready within 0 s"):
        service.wait(lambda: False, 0.2)
    assert service.process.returncode is not None


def test_what_a_service_started_ends_with_it(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
        "print('up', flush=True)\ntime.sleep(600)"
    )
    service = Service("it", [sys.executable, "-c", code], tmp_path)
    service.wait(lambda: "up" in service.log.read_text(), 20)
    pids = tree(service.pid)
    assert len(pids) == 2
    service.stop()
    assert all(_is_gone(pid) for pid in pids)


def _is_gone(pid: int) -> bool:
    """No process any more, or one that is only waiting to be reaped by the system's first process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()[0] in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.parametrize(("available", "load", "proxy"), [([0], "", ""), ([0, 1], "0", "1"), ([3, 5, 4], "3,4", "5")])
def test_the_proxy_has_a_core_of_its_own(available: list[int], load: str, proxy: str) -> None:
    assert Cores.split(available) == Cores(load, proxy)


def test_who_has_no_core_of_their_own_is_not_placed() -> None:
    assert Cores().on_proxy == []
    assert Cores("0", "1").on_load == ["taskset", "-c", "0"]

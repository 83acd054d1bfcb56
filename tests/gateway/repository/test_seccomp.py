"""The filter of system calls, on the kernel that the tests run on."""

from __future__ import annotations

import errno
import os
import platform
import struct

import pytest

from gateway.repository import seccomp
from tests.gateway.repository.alone import run_alone

needs_filter = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "aarch64"), reason="the filter knows other processors"
)


def filtered(action: str) -> str:
    return run_alone(
        f"""
        import os, signal, socket, subprocess, threading, resource, tempfile
        from gateway.repository.seccomp import restrict
        assert restrict()
        print(attempt(lambda: {action}))
        """
    )


@needs_filter
@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"])
def test_there_is_no_network(family: str) -> None:
    kind = "SOCK_RAW" if family == "AF_NETLINK" else "SOCK_STREAM"
    assert filtered(f"socket.socket(socket.{family}, socket.{kind})") == os.strerror(errno.ENETUNREACH)


@needs_filter
@pytest.mark.parametrize(
    "action",
    [
        "os.fork()",
        "subprocess.run(['true'])",
        "os.kill(os.getppid(), 0)",
        "os.kill(-1, 0)",
        "resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE)",
        "os.pidfd_open(os.getppid())",
    ],
)
def test_other_processes_are_neither_started_nor_reached(action: str) -> None:
    assert filtered(action) == os.strerror(errno.EPERM)


@needs_filter
@pytest.mark.parametrize(
    "action",
    [
        "socket.socketpair()",
        "threading.Thread(target=int).start()",
        "os.kill(os.getpid(), 0)",
        "resource.getrlimit(resource.RLIMIT_NOFILE)",
        "tempfile.TemporaryFile().write(b'text')",
    ],
)
def test_what_frameworks_need_stays_allowed(action: str) -> None:
    assert filtered(action) == "allowed"


@needs_filter
def test_a_change_of_modes_is_answered_but_not_made() -> None:
    said = filtered("(os.chmod(__import__('gateway').__file__, 0), open(__import__('gateway').__file__).read())")
    assert said == "allowed"


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_jump_of_the_program_stays_inside_and_every_path_ends_in_a_return(machine: str) -> None:
    found = seccomp._MACHINES[machine]
    program = list(struct.iter_unpack("=HBBI", seccomp.program(found.identifier, found.calls, 42)))
    jumps = [(at, code, yes, no) for at, (code, yes, no, _) in enumerate(program) if code & 0x07 == 0x05]
    assert all(at + 1 + max(yes, no) < len(program) for at, _, yes, no in jumps)
    assert program[-1] == (0x06, 0, 0, 0x7FFF0000)


def test_a_processor_that_the_filter_does_not_know_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert seccomp.restrict() is False

"""The guard as a real process, with a shell in the place of Triton."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.triton import guard
from gateway.triton.runtime import SHARED_MEMORY

from .conftest import is_alive


@dataclass
class Guarded:
    """A guard with what it guards."""

    process: subprocess.Popen[bytes]
    folder: Path
    log: Path
    region: Path

    def tell(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().decode().strip()


StartGuard = Callable[..., Guarded]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartGuard]:
    started: list[Guarded] = []

    def go(script: str, *, log_bytes: int = 10_000, stack: int = 0, parent: int | None = None) -> Guarded:
        folder, log = tmp_path / "runtime", tmp_path / "triton.log"
        folder.mkdir()
        prefix = f"triton-gateway-test-{os.getpid()}-{len(started)}-"
        region = SHARED_MEMORY / f"{prefix}region"
        region.write_bytes(b"x")
        command = [sys.executable, "-I", "-S", guard.__file__, str(folder), prefix, str(log), str(log_bytes)]
        command += [str(stack), str(parent or os.getpid()), *(["/bin/bash", "-c", script] if script else ["/no/such"])]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(Guarded(process, folder, log, region))
        return started[-1]

    yield go
    for guarded in started:
        guarded.process.kill()
        guarded.process.communicate()
        guarded.region.unlink(missing_ok=True)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def test_it_says_how_triton_ended_and_leaves_when_it_is_released(start: StartGuard) -> None:
    guarded = start("echo out; echo err >&2; exit 3")
    assert guarded.hear().startswith("started ")
    assert guarded.hear() == "ended 3"
    assert sorted(guarded.log.read_text().split()) == ["err", "out"]
    assert not guarded.region.exists()
    guarded.tell("release")
    assert guarded.process.wait(10) == 0
    assert guarded.folder.exists()  # it is the supervisor's, who goes on


def test_a_program_that_cannot_be_started_is_said(start: StartGuard) -> None:
    assert start("").hear() == "failed No such file or directory"


def test_a_stop_is_a_sigterm_and_a_sigkill_when_the_time_is_up(start: StartGuard) -> None:
    willing = start("trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done")
    willing.hear()
    until(lambda: willing.log.exists() and "ready" in willing.log.read_text())
    willing.tell("stop 10")
    assert willing.hear() == "ended 0"


def test_a_stop_does_not_wait_longer_than_it_is_told(start: StartGuard) -> None:
    stubborn = start("trap '' TERM; echo ready; while :; do sleep 0.01; done")
    stubborn.hear()
    until(lambda: stubborn.log.exists() and "ready" in stubborn.log.read_text())
    stubborn.tell("stop 0.1")
    assert stubborn.hear() == "ended -9"


def test_what_triton_left_running_is_ended_too(start: StartGuard) -> None:
    guarded = start("setsid sleep 1000 & echo $!; exit 1")
    guarded.hear()
    assert guarded.hear() == "ended 1"
    assert not is_alive(int(guarded.log.read_text()))


def test_when_the_supervisor_is_gone_nothing_is_left(start: StartGuard) -> None:
    guarded = start("sleep 1000 & echo $!; wait")
    triton = int(guarded.hear().removeprefix("started "))
    until(lambda: guarded.log.exists() and guarded.log.read_text().strip())
    assert guarded.process.stdin
    guarded.process.stdin.close()
    guarded.process.stdin = None
    guarded.process.wait(10)
    assert not is_alive(triton)
    assert not is_alive(int(guarded.log.read_text()))
    assert not guarded.region.exists()
    assert not guarded.folder.exists()


def test_a_supervisor_that_died_before_the_guard_began_is_noticed(start: StartGuard) -> None:
    guarded = start("sleep 1000", parent=2**22 + 1)
    guarded.process.wait(10)
    assert not guarded.folder.exists()


def test_a_guard_that_is_killed_takes_triton_with_it(start: StartGuard) -> None:
    guarded = start("sleep 1000")
    triton = int(guarded.hear().removeprefix("started "))
    assert is_alive(triton)
    guarded.process.kill()
    until(lambda: not is_alive(triton))


def test_a_guard_that_is_asked_to_end_ends_triton_and_says_so(start: StartGuard) -> None:
    guarded = start("sleep 1000")
    guarded.hear()
    guarded.process.send_signal(signal.SIGTERM)
    assert guarded.hear() == "ended -9"
    guarded.process.send_signal(signal.SIGTERM)
    guarded.process.wait(10)
    assert guarded.folder.exists()


def test_the_log_stays_within_its_size(start: StartGuard) -> None:
    guarded = start("for n in {1..5000}; do echo line $n; done", log_bytes=10_000)
    guarded.hear()
    assert guarded.hear() == "ended 0"
    assert guarded.log.read_text().endswith("line 5000\n")
    before = guarded.log.with_name("triton.log.1")
    assert max(guarded.log.stat().st_size, before.stat().st_size) <= 70_000  # one read beyond the limit at most


def test_the_stack_limit_is_triton_s_alone(start: StartGuard) -> None:
    guarded = start("ulimit -S -s", stack=2**26)
    guarded.hear()
    assert guarded.hear() == "ended 0"
    assert guarded.log.read_text().strip() == str(2**26 // 1024)


def test_a_log_that_cannot_be_written_does_not_hold_triton_up(tmp_path: Path) -> None:
    log = guard.BoundedLog(str(tmp_path / "no folder" / "log"), 100)
    log.write(b"x" * 1000)
    assert not (tmp_path / "no folder").exists()

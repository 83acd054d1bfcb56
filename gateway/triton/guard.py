"""Stands between the supervisor and tritonserver, so that nothing is left when either is killed.

A process of its own, run as a script with the standard library alone. It starts tritonserver, writes its output to a
log of bounded size, and waits. Whatever ends tritonserver, it kills every process that Triton left (orphans become
this process's children), removes the run's shared memory, says so, and waits for the supervisor's next word. When the
supervisor is gone without a word, it ends Triton at once and removes the runtime folder too. When this process itself
is killed, the kernel kills tritonserver, and the backend processes end by themselves within two seconds.

    guard.py RUNTIME_FOLDER SHARED_MEMORY_PREFIX LOG_FILE LOG_BYTES STACK_BYTES SUPERVISOR_PID COMMAND...

It reads lines on standard input: `stop SECONDS` (SIGTERM, then SIGKILL) and `release` (all is well, end). It writes
lines on standard output: `started PID`, `failed REASON`, `ended CODE` (negative: the signal's number).
"""

# Plain system calls: it starts fast and stays small.
# ruff: noqa: PTH105, PTH108, PTH123, PTH208, S108, S606

import contextlib
import ctypes
import os
import resource
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_DRAIN_SECONDS = 2.0
_REAP_SECONDS = 5.0
_LIBC = ctypes.CDLL(None, use_errno=True)


class BoundedLog:
    """An append-only file that is set aside as FILE.1 when it has reached its size. Never blocks and never raises."""

    def __init__(self, path: str, limit: int) -> None:
        self._path, self._limit = path, limit
        self._file = self._open()

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError:
            return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)

    def write(self, data: bytes) -> None:
        """Append; what cannot be stored, on a full disk for instance, is dropped: Triton must go on."""
        with contextlib.suppress(OSError):
            if os.fstat(self._file).st_size + len(data) > self._limit:
                os.replace(self._path, self._path + ".1")
                os.close(self._file)
                self._file = self._open()
            os.write(self._file, data)


def say(line: str) -> None:
    """Tell the supervisor; it may be gone."""
    with contextlib.suppress(OSError):
        os.write(1, f"{line}\n".encode())


def children() -> list[int]:
    """The process ids of this process's children."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError, ValueError):
                with open(f"/proc/{entry}/stat", "rb") as file:
                    # The name in brackets may hold anything; the parent is the second word after it.
                    parent = int(file.read().rpartition(b")")[2].split()[1])
                if parent == os.getpid():
                    found.append(int(entry))
    return found


def kill_all_children() -> None:
    """Kill all that Triton left, generation after generation, and reap it."""
    deadline = time.monotonic() + _REAP_SECONDS
    while time.monotonic() < deadline and (left := children()):
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.01)


def spawn(command: list[str], output: int, stack: int) -> int:
    """Start tritonserver with `output` as its standard output and error; raises OSError if that is impossible."""
    read, write = os.pipe()  # carries the reason of a failed exec; closed by a successful one
    pid = os.fork()
    if pid == 0:
        try:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if stack:
                resource.setrlimit(resource.RLIMIT_STACK, (stack, resource.getrlimit(resource.RLIMIT_STACK)[1]))
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.setpgid(0, 0)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            os.execv(command[0], command)
        except OSError as error:
            os.write(write, str(error.errno).encode())
        finally:
            os._exit(127)
    os.close(write)
    with open(read, "rb") as file:
        reason = file.read()
    if reason:
        os.waitpid(pid, 0)
        raise OSError(int(reason), os.strerror(int(reason)))
    return pid


class Guard:
    """Watches over one tritonserver."""

    def __init__(self, runtime: str, prefix: str, log: BoundedLog, parent: int) -> None:
        self._runtime, self._prefix, self._log = runtime, prefix, log
        self._parent = parent
        self._pid = 0  # of tritonserver, 0 while there is none
        self._lost = False  # the supervisor is gone
        self._released = False
        self._kill_at = float("inf")
        self._commands = b""
        self._output, self._triton_output = os.pipe()
        os.set_blocking(self._output, False)

    def run(self, command: list[str], stack: int) -> None:
        """Start `command` and stay until it has ended and the supervisor has had its say, or is gone."""
        wakeup = self._catch_signals()
        try:
            self._pid = spawn(command, self._triton_output, stack)
        except OSError as error:
            say(f"failed {error.strerror}")
        else:
            say(f"started {self._pid}")
        os.close(self._triton_output)
        handlers = {0: self._obey, wakeup: self._reap, self._output: self._pump, **self._parent_handle()}
        poll = select.poll()
        for fd in handlers:
            poll.register(fd, select.POLLIN)
        while not (self._lost or self._released):
            for fd, _ in poll.poll(self._poll_milliseconds()):
                if handlers[fd](fd) is False:  # at its end
                    poll.unregister(fd)
            if time.monotonic() >= self._kill_at:
                self._signal(signal.SIGKILL)
                self._kill_at = float("inf")
        self._finish()

    def _catch_signals(self) -> int:
        """Make signals readable; returns the file descriptor."""
        wakeup, notify = os.pipe()
        for end in (wakeup, notify):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(notify, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        return wakeup

    def _parent_handle(self) -> dict[int, Callable[[int], bool]]:
        # The pipe's other end may have been inherited by a process that the supervisor forked; this cannot be.
        self._lost = os.getppid() != self._parent
        try:
            return {os.pidfd_open(self._parent): self._on_parent_gone}
        except OSError:  # a kernel without it: the pipe alone must do
            return {}

    def _on_parent_gone(self, _fd: int) -> bool:
        self._lost = True
        return False

    def _poll_milliseconds(self) -> float | None:
        return None if self._kill_at == float("inf") else max(0.0, self._kill_at - time.monotonic()) * 1000 + 1

    def _on_signal(self, number: int, _frame: object) -> None:
        if number != signal.SIGCHLD:  # someone wants this process to end: Triton first, and then the supervisor decides
            self._released = self._pid == 0
            self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self._pid:
            with contextlib.suppress(OSError):
                os.kill(self._pid, number)

    def _obey(self, fd: int) -> bool:
        data = os.read(fd, 4096)
        self._lost = self._lost or not data
        self._commands += data
        *lines, self._commands = self._commands.split(b"\n")
        for line in lines:
            word, _, value = line.partition(b" ")
            if word == b"stop":
                self._signal(signal.SIGTERM)
                self._kill_at = time.monotonic() + float(value)
            elif word == b"release":
                self._released = True
        return bool(data)

    def _reap(self, fd: int) -> bool:
        os.read(fd, 4096)
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == self._pid:
                    self._after_triton(os.waitstatus_to_exitcode(ended[1]))
        return True

    def _after_triton(self, code: int) -> None:
        self._pid, self._kill_at = 0, float("inf")
        kill_all_children()
        self._remove_shared_memory()
        deadline = time.monotonic() + _DRAIN_SECONDS
        while self._pump(self._output) and time.monotonic() < deadline:
            select.select([self._output], [], [], 0.05)
        say(f"ended {code}")

    def _pump(self, fd: int) -> bool:
        """Move output to the log; False at its end."""
        try:
            data = os.read(fd, 65536)
        except BlockingIOError:
            return True
        if data:
            self._log.write(data)
        return bool(data)

    def _remove_shared_memory(self) -> None:
        for name in os.listdir("/dev/shm"):
            if name.startswith(self._prefix):
                with contextlib.suppress(OSError):
                    os.unlink(f"/dev/shm/{name}")

    def _finish(self) -> None:
        if self._pid:
            self._signal(signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._pid, 0)
            self._after_triton(-signal.SIGKILL)
        if self._lost:
            shutil.rmtree(self._runtime, ignore_errors=True)


def main() -> None:
    """Read the command line and stand guard."""
    runtime, prefix, log_file, log_bytes, stack, parent, *command = sys.argv[1:]
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    Guard(runtime, prefix, BoundedLog(log_file, int(log_bytes)), int(parent)).run(command, int(stack))


if __name__ == "__main__":
    main()

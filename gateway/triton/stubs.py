"""Triton's backend processes ("stubs"), found in /proc and watched for their deaths.

Triton starts one per instance of a model of a Python-based backend, and another for a moment when it completes a
configuration. It never restarts one that died: the model stays READY and fails every request.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from gateway.triton.runtime import remove_shared_memory

_NAME = "triton_python_backend_stub"
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Stub:
    """One backend process.

    Attributes:
        pid: its process id.
        model: the model it runs.
        version: the model's version.
        region: the name of its shared memory in /dev/shm.
        instance: the name of the model's instance that it runs; its replacement bears the same.
    """

    pid: int
    model: str
    version: str
    region: str
    instance: str


def parse(pid: int, command: bytes, models: Path) -> Stub | None:
    """Read a process's command line: `STUB MODELS/NAME/VERSION/FILE REGION ... INSTANCE RUNTIME_MODEL_DIR`."""
    words = command.decode("utf-8", "replace").rstrip("\0").split("\0")
    if Path(words[0]).name != _NAME or len(words) < 4:
        return None
    try:
        name, version, *_ = Path(words[1]).relative_to(models).parts
    except ValueError:
        return None
    return Stub(pid, name, version, words[2], words[-2])


def find(server: int, models: Path) -> list[Stub]:
    """The backend processes of the tritonserver `server` that are alive now."""
    found = []
    for pid in _children(server):
        with contextlib.suppress(OSError):
            stub = parse(pid, Path(f"/proc/{pid}/cmdline").read_bytes(), models)
            if stub:
                found.append(stub)
    return found


def _children(server: int) -> Iterable[int]:
    """The children of all threads of a process; by going through all processes on a kernel without such a list."""
    threads = f"/proc/{server}/task"
    try:
        lists = [_read(f"{threads}/{thread}/children") for thread in os.listdir(threads)]  # noqa: PTH208 - half the time
        return [int(pid) for line in lists for pid in line.split()]
    except ProcessLookupError:
        return []
    except OSError:
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        return [pid for pid in pids if _parent(pid) == server]


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - half the time of pathlib, and this runs often
        return file.read()


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
    except (OSError, ValueError):
        return 0


class StubWatch:
    """Knows the backend processes of one tritonserver, and reports each that ends, at once."""

    def __init__(self, server: int, models: Path, on_end: Callable[[Stub], None]) -> None:
        self._server, self._models, self._on_end = server, models, on_end
        self._handles: dict[Stub, int] = {}  # a pidfd each: readable when the process has ended

    def server_is_alive(self) -> bool:
        """Whether tritonserver is; when it dies, its backend processes follow, and none of them is at fault."""
        try:
            return Path(f"/proc/{self._server}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
        except OSError:
            return False

    def scan(self) -> None:
        """Find processes that are new since the last scan."""
        for stub in find(self._server, self._models):
            if stub not in self._handles:
                with contextlib.suppress(ProcessLookupError):
                    handle = os.pidfd_open(stub.pid)
                    self._handles[stub] = handle
                    asyncio.get_running_loop().add_reader(handle, self._ended, stub)

    def of(self, model: str) -> list[Stub]:
        """The known processes of a model that are alive."""
        return [stub for stub in self._handles if stub.model == model]

    def memory(self) -> dict[str, int]:
        """The resident memory of each model's processes in bytes; shared libraries count once for each process."""
        total: dict[str, int] = {}
        for stub in self._handles:
            with contextlib.suppress(OSError, ValueError):
                pages = int(_read(f"/proc/{stub.pid}/statm").split()[1])
                total[stub.model] = total.get(stub.model, 0) + pages * _PAGE_BYTES
        return total

    def kill(self, stubs: Iterable[Stub]) -> None:
        """End these processes; those that have ended already are passed over."""
        for stub in [stub for stub in stubs if stub in self._handles]:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handles[stub], signal.SIGKILL)

    def close(self) -> None:
        """Stop watching."""
        for stub in list(self._handles):
            self._forget(stub)

    def _ended(self, stub: Stub) -> None:
        self._forget(stub)
        self._on_end(stub)

    def _forget(self, stub: Stub) -> None:
        handle = self._handles.pop(stub)
        asyncio.get_running_loop().remove_reader(handle)
        os.close(handle)


def remove_region(stub: Stub) -> None:
    """Remove the shared memory of a process that has ended."""
    remove_shared_memory(stub.region)

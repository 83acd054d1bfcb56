"""A process confines itself, before it opens anything that a stranger made.

What holds afterwards, and cannot be taken back: no more memory, time and file size than the limits say; no network; no
other process started, seen or signalled; files read only where the code lies and where the model lies; files written
only in the scratch folder.
"""

from __future__ import annotations

import ctypes
import math
import os
import platform
import resource
import signal
import site
import struct
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gateway.repository import landlock, seccomp

THREADS = 2
"""How many threads a framework is asked to take."""

_NICER = 10
_CPU_GRACE = 5  # seconds between the signal that tells of the limit and the one that only kills
_KILL_FIRST = "1000"  # of the kernel's out-of-memory scores: the highest
_PARENT_DEATH_SIGNAL = 1  # prctl's number of it
_CAPGET_CAPSET = {"x86_64": (125, 126), "aarch64": (90, 91)}
_CAPABILITIES_VERSION = 0x20080522
_READ_ANY_FILE = 0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH

_OWN = ("gateway", "backends", "typed_yaml", "atomic")
_SYSTEM = (
    *("/usr", "/lib", "/lib32", "/lib64", "/opt", "/nix/store"),
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ld.so.preload", "/etc/alternatives"),
    *("/etc/localtime", "/etc/timezone", "/etc/nsswitch.conf", "/etc/passwd", "/etc/group", "/etc/mime.types"),
    *("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys", "/proc/filesystems", "/proc/version"),
    *("/sys/devices/system", "/sys/fs/cgroup", "/sys/kernel/mm"),
    *("/dev/urandom", "/dev/random", "/dev/zero"),
)
_WRITABLE = (Path("/dev/null"), Path("/dev/full"))

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "PYTHONHOME", "VIRTUAL_ENV")


@dataclass(frozen=True, slots=True)
class Limits:
    """What the process may use.

    Attributes:
        memory_mib: memory that it writes to, in MiB; files that it maps to read are not counted.
        seconds: time. The parent watches the clock; the processor time that it allows is this on every thread.
        file_mib: the largest file that it may write, in MiB.
    """

    memory_mib: int
    seconds: float
    file_mib: int


def environment(given: Mapping[str, str], scratch: Path, code: Path) -> dict[str, str]:
    """The environment that the process is started with: nothing of `given` that could be a secret.

    Args:
        given: the parent's own environment.
        scratch: what the process may write to; its home and its temporary files go there.
        code: the folder that `gateway` is imported from.
    """
    kept = {name: given[name] for name in _PASSED_ON if name in given}
    threads = str(THREADS)
    return kept | {
        "HOME": str(scratch / "home"),
        "TMPDIR": str(scratch / "tmp"),
        "USER": "sandbox",
        "PYTHONPATH": os.pathsep.join([str(code), *filter(None, [given.get("PYTHONPATH")])]),
        "PYTHONSAFEPATH": "1",
        "PYTHONUSERBASE": site.getuserbase(),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUTF8": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "TF_NUM_INTRAOP_THREADS": threads,
        "TF_NUM_INTEROP_THREADS": threads,
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), threads),
    }


def confine(limits: Limits, readable: Iterable[Path], scratch: Path) -> tuple[str, ...]:
    """Confine this process; it must have one thread only.

    Args:
        limits: what it may use.
        readable: files and folders of the model, and of code that is not on Python's own path.
        scratch: the folder that it may write to; exists.

    Returns:
        what this kernel cannot keep from a process, one sentence each; empty where everything holds.
    """
    if len(list(Path("/proc/self/task").iterdir())) > 1:
        raise RuntimeError("a process that has threads already cannot confine them")
    _die_with_parent()
    _limit(limits)
    missing = []
    level = landlock.restrict((*_code(), *readable), (scratch, *_WRITABLE))
    _drop_capabilities(keep=_READ_ANY_FILE if level else 0)
    if level == 0:
        missing.append("this kernel cannot keep a model from reading other files (it has no Landlock)")
    if not seccomp.restrict():
        missing.append("the network is not blocked on this kernel (it has no seccomp filters)")
    return tuple(missing)


def _code() -> list[Path]:
    """The system's libraries, the interpreter and the packages; of a checkout only its code."""
    root = Path(__file__).resolve().parents[2]
    is_checkout = not (root / "gateway" / "_assets").exists()
    libraries = [folder for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":") if folder]
    on_path = [Path(entry).resolve() for entry in (*sys.path, *libraries) if entry]
    folders = [Path(sys.prefix), Path(sys.base_prefix), *(path for path in on_path if path != root or not is_checkout)]
    own = Path("/proc/self").resolve()
    os.open(own, os.O_PATH)  # held open for ever: the kernel forgets a rule with the last that looks at its folder
    return [
        *map(Path, _SYSTEM),
        own,
        *folders,
        root / "gateway",
        root / "backends",
        root / "typed_yaml",
        root / "atomic",
    ]


def _limit(limits: Limits) -> None:
    # Not the address space, of which frameworks reserve far more than they use.
    _set_limit(resource.RLIMIT_DATA, limits.memory_mib * 2**20)
    _set_limit(resource.RLIMIT_FSIZE, limits.file_mib * 2**20)
    _set_limit(resource.RLIMIT_CPU, math.ceil(limits.seconds * THREADS), beyond=_CPU_GRACE)
    _set_limit(resource.RLIMIT_CORE, 0)
    os.nice(_NICER)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_KILL_FIRST, encoding="ascii")


def _set_limit(which: int, most: int, beyond: int = 0) -> None:
    hard = resource.getrlimit(which)[1]
    last = most + beyond if hard == resource.RLIM_INFINITY else min(most + beyond, hard)
    resource.setrlimit(which, (min(most, last), last))


def _die_with_parent() -> None:
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:  # it died in between
        os.kill(os.getpid(), signal.SIGKILL)


def _drop_capabilities(keep: int) -> None:
    """Take root's powers from it, but for reading what other users own: Landlock says which files those may be."""
    if platform.machine() not in _CAPGET_CAPSET:
        return
    get, put = _CAPGET_CAPSET[platform.machine()]
    libc, header = ctypes.CDLL(None), struct.pack("=Ii", _CAPABILITIES_VERSION, 0)
    held = ctypes.create_string_buffer(24)  # effective, permitted and inheritable, twice 32 bits each
    if libc.syscall(get, header, held) == 0:
        low = struct.unpack("=6I", held)[1] & keep
        libc.syscall(put, header, struct.pack("=6I", low, low, 0, 0, 0, 0))

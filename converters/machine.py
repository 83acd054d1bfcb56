"""The machine that this runs on: what a build may use of it, and what figures were measured on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine, as far as this process may use it.

    Attributes:
        processor: its model, as the system names it.
        cores: processor cores.
        memory_mib: that are free now.
        system: the operating system and architecture.
        python: the interpreter's version.
    """

    processor: str
    cores: int
    memory_mib: int
    system: str
    python: str

    @classmethod
    def here(cls, root: Path = Path("/")) -> Machine:
        """By `/proc` and the control group's limits."""
        return cls(_processor(root), _cores(root), _free_mib(root), platform.platform(), platform.python_version())

    def __str__(self) -> str:
        memory = f"{self.memory_mib / 1024:.0f} GiB free"
        return f"{self.processor}, {self.cores} cores, {memory}, {self.system}, Python {self.python}"


def resident_mib() -> float | None:
    """Resident memory of this process in MiB; None where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _cores(root: Path) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = (root / "sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):  # no control group, or "max": no quota
        return cores


def _free_mib(root: Path) -> int:
    free = _meminfo(root).get("MemAvailable", 4 * 2**20) // 1024
    try:
        limit = int((root / "sys/fs/cgroup/memory.max").read_text())
        used = int((root / "sys/fs/cgroup/memory.current").read_text())
    except (OSError, ValueError):
        return free
    return min(free, max(0, limit - used) // 2**20)


def _meminfo(root: Path) -> dict[str, int]:
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:
        return {}
    return {line.partition(":")[0]: int(line.split()[1]) for line in lines if len(line.split()) > 1}


def _processor(root: Path) -> str:
    try:
        lines = (root / "proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())

"""The machine that a build runs on: what it offers, and what a model will take of it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_TOOLS = (
    "numpy", "onnx", "onnxruntime", "onnxslim", "tensorrt", "tensorrt-rtx", "torch", "tensorflow-cpu", "tf2onnx",
    "skl2onnx", "onnxmltools", "onnxscript",
)  # fmt: skip
# Resident memory in MiB that importing and using a framework takes before any model.
_FRAMEWORK_MIB = {"savedmodel": 1200, "keras": 1400, "torchscript": 700, "exported": 900, "factory": 900}
_BASE_MIB = 500
_TIMES_SOURCE = 14  # copies of the weights at a time: graph, simplified, typed, calibrated, engine, two sessions


@dataclass(frozen=True, slots=True)
class Machine:
    """Processors and memory that this process may use.

    Attributes:
        cores: processor cores.
        memory_mib: that are free now.
        processor: its name.
    """

    cores: int
    memory_mib: int
    processor: str

    @classmethod
    def here(cls, root: Path = Path("/")) -> Machine:
        """By `/proc` and the control group's limits."""
        return cls(_cores(root), _free_mib(root), _processor(root))

    def __str__(self) -> str:
        return f"{self.processor}, {self.cores} cores, {self.memory_mib / 1024:.0f} GiB free, {platform.platform()}"


def expected_mib(kind: str, source_bytes: int) -> int:
    """What working on a model is expected to take at most, in MiB; measured on models of 0.6 to 90 MB."""
    return _BASE_MIB + _FRAMEWORK_MIB.get(kind, 0) + _TIMES_SOURCE * source_bytes // 2**20


def versions(names: Iterable[str] = _TOOLS) -> Mapping[str, str]:
    """The versions of the libraries that take part, of those that are installed."""
    found = dict[str, str]()
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _cores(root: Path) -> int:
    cores = len(os.sched_getaffinity(0))
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

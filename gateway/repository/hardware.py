"""The machine that models run on, as far as a model's configuration depends on it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Hardware:
    """Processor cores and NVIDIA GPUs that may be used."""

    cores: int
    gpus: int

    @classmethod
    def here(cls, root: Path = Path("/"), env: Mapping[str, str] = os.environ) -> Hardware:
        """The cores of this process's affinity or its container's quota, and the GPUs that it may open."""
        return cls(_cores(root), _gpus(root, env))


def _cores(root: Path) -> int:
    cores = len(os.sched_getaffinity(0))
    try:
        limit, period = (root / "sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, -(-int(limit) // int(period)))
    except (OSError, ValueError):
        pass  # no control group, or "max": no quota
    return max(1, cores)


def _gpus(root: Path, env: Mapping[str, str]) -> int:
    devices = len(list(root.glob("dev/nvidia[0-9]*")))
    # Before the first use after a boot the driver may have made no device files yet.
    found = devices or len(list(root.glob("proc/driver/nvidia/gpus/*")))
    visible = env.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return found
    return min(found, len([each for each in visible.split(",") if each.strip() not in ("", "-1")]))

"""How many threads a model takes when its configuration says nothing.

The native backends take every core for each model instance. Here each instance is a process, and several models share
the machine: an instance takes its share of the cores that this process may really use.
"""

import os
from pathlib import Path

_CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_cores(affinity: int | None = None, quota: Path = _CGROUP_QUOTA) -> int:
    """Cores this process may use: its CPU affinity, or its container's CPU quota when that is less; at least 1."""
    cores = affinity if affinity is not None else len(os.sched_getaffinity(0))
    try:
        limit, period = quota.read_text().split()
        cores = min(cores, -(-int(limit) // int(period)))
    except (OSError, ValueError):
        pass  # no control group, or "max": no quota
    return max(1, cores)


def share_of_cores(instances: int, cores: int) -> int:
    """Threads for one of a model's `instances`, so that all of them together fill `cores` once; at least 1."""
    return max(1, cores // max(1, instances))

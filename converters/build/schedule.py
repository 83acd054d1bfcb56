"""Which models are worked on at the same time: pure, so that it can be tested without starting anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# Resident memory in MiB that importing and using a framework takes before any model.
_FRAMEWORK_MIB = {"savedmodel": 1200, "keras": 1400, "torchscript": 700, "exported": 900, "factory": 900}
_BASE_MIB = 500
_TIMES_SOURCE = 14  # copies of the weights at a time: graph, simplified, typed, calibrated, engine, two sessions


def expected_mib(kind: str, source_bytes: int) -> int:
    """What working on a model is expected to take at most, in MiB; measured on models of 0.6 to 90 MB."""
    return _BASE_MIB + _FRAMEWORK_MIB.get(kind, 0) + _TIMES_SOURCE * source_bytes // 2**20


@dataclass(frozen=True, slots=True)
class Job:
    """One model to work on.

    Attributes:
        name: the model's.
        memory_mib: what it is expected to take at most.
        alone: nothing else may run beside it, as it once died for want of memory.
    """

    name: str
    memory_mib: int
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Room:
    """What may be used at the same time."""

    jobs: int
    memory_mib: int


def startable(waiting: Sequence[Job], running: Mapping[str, Job], room: Room) -> tuple[Job, ...]:
    """The waiting jobs to start now, in their order; a job larger than all memory still gets its turn, alone."""
    chosen = list[Job]()
    at_work = list(running.values())
    for job in waiting:
        used = sum(each.memory_mib for each in at_work)
        fits = len(at_work) < room.jobs and used + job.memory_mib <= room.memory_mib
        if any(each.alone for each in at_work) or (at_work and (job.alone or not fits)):
            continue
        chosen.append(job)
        at_work.append(job)
    return tuple(chosen)

"""Which models are worked on at the same time: pure, so that it can be tested without starting anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


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

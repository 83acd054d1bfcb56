"""What a process and its children cost, read from /proc: CPU time and memory."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_PROC = Path("/proc")
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Stat:
    """The part of /proc/PID/stat that is of use.

    Attributes:
        parent: the parent's process id.
        ticks: user and system time of all threads, in clock ticks.
    """

    parent: int
    ticks: int


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory in bytes, of one process or the sum of several.

    Attributes:
        rss: resident set size; pages that several processes share count once for each.
        pss: proportional set size: a shared page is divided among those that share it.
        largest_rss: of the largest single process.
    """

    rss: int
    pss: int
    largest_rss: int


def parse_stat(text: str) -> Stat:
    """Read one line of /proc/PID/stat; the command's name may hold spaces and parentheses."""
    fields = text[text.rindex(")") + 2 :].split()
    return Stat(parent=int(fields[1]), ticks=int(fields[11]) + int(fields[12]))


def parse_rollup(text: str) -> tuple[int, int]:
    """Rss and Pss in bytes from /proc/PID/smaps_rollup."""
    found = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in text.splitlines() if line.endswith("kB")}
    return found.get("Rss", 0), found.get("Pss", 0)


def descendants(root: int, parents: dict[int, int]) -> list[int]:
    """`root` and every process below it, given each process's parent."""
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting.extend(child for child, parent in parents.items() if parent == pid)
    return found


def tree(root: int) -> list[int]:
    """The process ids of `root` and of every process below it."""
    return descendants(root, {pid: stat.parent for pid, stat in _stats()})


def cpu_seconds(root: int) -> float:
    """User and system time of `root` and all living processes below it, in seconds."""
    stats = dict(_stats())
    pids = descendants(root, {pid: stat.parent for pid, stat in stats.items()})
    return sum(stats[pid].ticks for pid in pids if pid in stats) / _TICKS_PER_SECOND


def memory(root: int) -> Memory:
    """The memory of `root` and all living processes below it."""
    found = []
    for pid in tree(root):
        with suppress(OSError):
            found.append(parse_rollup((_PROC / str(pid) / "smaps_rollup").read_text()))
    rss, pss = [f[0] for f in found], [f[1] for f in found]
    return Memory(rss=sum(rss), pss=sum(pss), largest_rss=max(rss, default=0))


@dataclass(slots=True)
class Watched:
    """What `watch_memory` has seen.

    Attributes:
        samples: (seconds since the start, memory), in order.
    """

    samples: list[tuple[float, Memory]] = field(default_factory=list)

    @property
    def peak(self) -> Memory:
        """The largest of each figure."""
        seen = [sample for _, sample in self.samples]
        return Memory(
            rss=max((m.rss for m in seen), default=0),
            pss=max((m.pss for m in seen), default=0),
            largest_rss=max((m.largest_rss for m in seen), default=0),
        )


@contextmanager
def watch_memory(root: int, every_seconds: float) -> Iterator[Watched]:
    """Look at the memory of a process tree from time to time, once at the start and once at the end."""
    watched, done, started = Watched(), threading.Event(), time.monotonic()

    def look() -> None:
        watched.samples.append((round(time.monotonic() - started, 3), memory(root)))

    def keep_looking() -> None:
        while not done.wait(every_seconds):
            look()

    look()
    thread = threading.Thread(target=keep_looking, name="memory watcher", daemon=True)
    thread.start()
    try:
        yield watched
    finally:
        done.set()
        thread.join()
        look()


def _stats() -> Iterator[tuple[int, Stat]]:
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            with suppress(OSError):  # it ended meanwhile
                yield int(folder.name), parse_stat((folder / "stat").read_text())

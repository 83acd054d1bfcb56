"""What a bench is asked for, and what it says."""

from __future__ import annotations

from dataclasses import dataclass

from converters.arrays import Feeds
from converters.machine import Machine


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """How long and how hard.

    Attributes:
        feeds: one batch of input; it is repeated or cut to each batch size.
        batch_sizes: samples in one run.
        concurrency: threads that run the same variant at the same time.
        rounds: turns that each variant has, in each combination of a batch size and a concurrency.
        slice_seconds: of one turn; each thread finishes at least one run.
        warm_up: runs of each variant before its first turn.
    """

    feeds: Feeds
    batch_sizes: tuple[int, ...] = (1, 8)
    concurrency: tuple[int, ...] = (1,)
    rounds: int = 10
    slice_seconds: float = 0.2
    warm_up: int = 3


@dataclass(frozen=True, slots=True)
class Measurement:
    """One variant at one batch size and concurrency.

    Attributes:
        variant: its name.
        batch_size, concurrency: as in the options.
        runs: how many were timed.
        p50_ms, p90_ms, p99_ms: latency of one run, a whole batch, in milliseconds.
        inferences_per_s: samples a second over all threads.
        cpu_ms: CPU time that the process used for one sample, over all its threads, in milliseconds.
        latency_ratio: the first variant's p50 by this one's: more than 1 is faster; None if the first was not measured.
        throughput_ratio: this one's samples a second by the first variant's, likewise.
    """

    variant: str
    batch_size: int
    concurrency: int
    runs: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    inferences_per_s: float
    cpu_ms: float
    latency_ratio: float | None = None
    throughput_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A variant that was loaded.

    Attributes:
        variant: its name.
        runner: what runs it, with its version.
        load_seconds: until it was ready.
        rss_mib: resident memory that it added to the process while it was loaded and run once, libraries included if it
            is the first that needs them; None where the system does not tell.
    """

    variant: str
    runner: str
    load_seconds: float
    rss_mib: float | None


@dataclass(frozen=True, slots=True)
class NotRun:
    """A variant, or one of its batch sizes, that cannot be run here, and why."""

    variant: str
    reason: str
    batch_size: int | None = None


@dataclass(frozen=True, slots=True)
class BenchResult:
    """All that was measured in one run, on one machine."""

    machine: Machine
    loaded: tuple[Loaded, ...]
    measurements: tuple[Measurement, ...]
    not_run: tuple[NotRun, ...]

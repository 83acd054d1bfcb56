"""Variants measured in one run: they take turns in short slices, so that noise of the machine meets all of them alike.

A slice is one variant, run by one or more threads for a fraction of a second. Every slice begins with a run that is
not counted: it lets the threads that the variant before left spinning come to rest, and fills the caches. The order
turns by one from round to round, so that nobody is always the first.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from threading import Barrier, BrokenBarrierError

import numpy as np

from converters.arrays import Feeds
from converters.bench.result import BenchOptions, BenchResult, Loaded, Measurement, NotRun
from converters.bench.variants import Variant
from converters.engines.base import Progress
from converters.errors import BadData, ConfigError, ConversionError
from converters.machine import Machine, resident_mib
from converters.verify.base import Runner
from converters.verify.differences import batch_size


@dataclass(slots=True)
class _Turns:
    """What a variant's slices add up to."""

    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0
    cpu_seconds: float = 0.0


def bench(variants: Sequence[Variant], options: BenchOptions, progress: Progress) -> BenchResult:
    """Measure all variants that can run here; ratios are against the first.

    Raises:
        ConfigError: two variants have one name.
        BadData: an input cannot be made into a batch of another size.
        ConversionError: a variant that ran alone fails when several threads run it.
    """
    names = [variant.name for variant in variants]
    if len(set(names)) < len(names):
        raise ConfigError(f"two variants have one name: {', '.join(names)}", hint="name each differently")
    machine = Machine.here()
    batches = {size: sized(options.feeds, size) for size in options.batch_sizes}
    with ExitStack() as stack:
        runners, loaded, not_run = _load(variants, options.feeds, progress, stack)
        measurements: list[Measurement] = []
        for size, feeds in batches.items():
            able = {}
            for name, runner in runners.items():
                try:
                    for _ in range(options.warm_up):
                        runner.run(feeds)
                    able[name] = runner
                except ConversionError as error:
                    not_run.append(NotRun(name, str(error), size))
            for concurrency in options.concurrency:
                progress.stage(f"measure batch {size}, {concurrency} at once", options.rounds)
                turns = _turns(able, feeds, concurrency, options, progress)
                cell = [_measurement(name, size, concurrency, turn) for name, turn in turns.items()]
                measurements.extend(_with_ratios(cell, names[0]))
    return BenchResult(machine, tuple(loaded), tuple(measurements), tuple(not_run))


def sized(feeds: Feeds, size: int) -> Feeds:
    """The feeds repeated or cut to so many samples.

    Raises:
        BadData: the inputs share no batch dimension, or there is no sample to repeat.
    """
    given = batch_size(feeds)
    first = {array.shape[0] if array.ndim else None for array in feeds.values()}
    if len(first) > 1 or None in first:
        if size == given:
            return feeds
        raise BadData(
            f"the inputs share no batch dimension that could become {size}", hint="measure batch size 1 alone"
        )
    if not given:
        raise BadData("the data has no sample to measure with", hint="give at least one")
    return {name: array[np.arange(size) % given] for name, array in feeds.items()}


def _load(
    variants: Sequence[Variant], feeds: Feeds, progress: Progress, stack: ExitStack
) -> tuple[dict[str, Runner], list[Loaded], list[NotRun]]:
    runners: dict[str, Runner] = {}
    loaded, not_run = [], []
    progress.stage("load", len(variants))
    for number, variant in enumerate(variants, start=1):
        before, started = resident_mib(), time.perf_counter()
        try:
            runner = variant.start()
        except ConversionError as error:
            not_run.append(NotRun(variant.name, str(error)))
        else:
            stack.callback(runner.close)
            seconds = time.perf_counter() - started
            with suppress(ConversionError):  # told later, for each batch size
                runner.run(feeds)
            after = resident_mib()
            added = max(after - before, 0.0) if before is not None and after is not None else None
            loaded.append(Loaded(variant.name, runner.name, seconds, added))
            runners[variant.name] = runner
        progress.step(number)
    return runners, loaded, not_run


def _turns(
    runners: Mapping[str, Runner], feeds: Feeds, concurrency: int, options: BenchOptions, progress: Progress
) -> dict[str, _Turns]:
    turns = {name: _Turns() for name in runners}
    order = list(runners)
    for number in range(1, options.rounds + 1):
        for name in order:
            _slice(runners[name], feeds, concurrency, options.slice_seconds, turns[name])
        order = order[1:] + order[:1]
        progress.step(number)
    return turns


def _slice(runner: Runner, feeds: Feeds, concurrency: int, seconds: float, turns: _Turns) -> None:
    barrier = Barrier(concurrency + 1)

    def work() -> list[float]:
        try:
            runner.run(feeds)
        except BaseException:
            barrier.abort()
            raise
        barrier.wait()
        latencies: list[float] = []
        end = time.perf_counter() + seconds
        while not latencies or time.perf_counter() < end:
            started = time.perf_counter()
            runner.run(feeds)
            latencies.append(time.perf_counter() - started)
        return latencies

    with ThreadPoolExecutor(concurrency) as pool:
        futures = [pool.submit(work) for _ in range(concurrency)]
        with suppress(BrokenBarrierError):  # the thread that broke it tells why
            barrier.wait()
        started, cpu_started = time.perf_counter(), time.process_time()
        failed = [error for future in futures if (error := future.exception())]
        if failed:
            raise next((error for error in failed if not isinstance(error, BrokenBarrierError)), failed[0])
        for future in futures:
            turns.latencies.extend(future.result())
        turns.seconds += time.perf_counter() - started
        turns.cpu_seconds += time.process_time() - cpu_started


def _measurement(name: str, size: int, concurrency: int, turns: _Turns) -> Measurement:
    p50, p90, p99 = (float(value) * 1000 for value in np.percentile(turns.latencies, (50, 90, 99)))
    samples = len(turns.latencies) * size
    return Measurement(
        variant=name,
        batch_size=size,
        concurrency=concurrency,
        runs=len(turns.latencies),
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        inferences_per_s=samples / turns.seconds,
        cpu_ms=turns.cpu_seconds / samples * 1000,
    )


def _with_ratios(cell: Sequence[Measurement], first: str) -> list[Measurement]:
    base = next((measured for measured in cell if measured.variant == first), None)
    if base is None:
        return list(cell)
    return [
        replace(
            measured,
            latency_ratio=base.p50_ms / measured.p50_ms,
            throughput_ratio=measured.inferences_per_s / base.inferences_per_s,
        )
        for measured in cell
    ]

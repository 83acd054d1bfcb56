"""Runs one worker process a model, as many at a time as cores and memory allow."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path

from converters.build.events import Event, Listener
from converters.build.results import ModelResult, Problem
from converters.build.schedule import Job, Room, startable
from converters.build.worker import Request, work

_GRACE_SECONDS = 5.0


@dataclass(slots=True)
class _Running:
    job: Job
    process: SpawnProcess
    pipe: Connection
    had_company: bool


@dataclass(slots=True)
class Crew:
    """The workers of one build.

    Attributes:
        room: what may be used at the same time.
        tell: told what the workers tell.
        target: what a worker runs; tests give another.
    """

    room: Room
    tell: Listener
    target: Callable[[Request, Connection], None] = work
    _running: dict[str, _Running] = field(default_factory=dict)

    def build(self, jobs: Sequence[Job], request: Callable[[str], Request]) -> dict[str, ModelResult]:
        """Work on all models; a model that fails does not keep the others from being done.

        Args:
            jobs: the models, the most urgent first.
            request: gives a model's request.

        Raises:
            KeyboardInterrupt: after all workers were ended.
        """
        waiting, results = list(jobs), dict[str, ModelResult]()
        with self._ended():
            while waiting or self._running:
                for job in startable(waiting, {n: each.job for n, each in self._running.items()}, self.room):
                    waiting.remove(job)
                    self._start(job, request(job.name))
                for name, outcome in self._outcomes():
                    if isinstance(outcome, ModelResult):
                        results[name] = outcome
                    elif outcome.alone:
                        waiting.append(outcome)
        return results

    def _start(self, job: Job, request: Request) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=self.target, args=(request, theirs), name=f"build {job.name}")
        with _deaf_to_ctrl_c():
            process.start()
        theirs.close()
        for each in self._running.values():
            each.had_company = True
        self._running[job.name] = _Running(job, process, ours, bool(self._running))

    def _outcomes(self) -> Iterator[tuple[str, ModelResult | Job]]:
        """What is known after the next message: results, and jobs that are to be tried again alone."""
        ready = wait([each.pipe for each in self._running.values()])
        for name in [name for name, each in self._running.items() if each.pipe in ready]:
            try:
                message = self._running[name].pipe.recv()
            except EOFError:  # it ended without a result
                yield name, self._died(name)
                continue
            if isinstance(message, Event):
                self.tell(message)
            else:
                self._reap(name)
                yield name, message

    def _died(self, name: str) -> ModelResult | Job:
        running = self._running[name]
        code = self._reap(name)
        if code == -signal.SIGKILL and running.had_company:
            self.tell(Event(name, "works", "", detail="was killed, most likely for want of memory; tried again alone"))
            return replace(running.job, alone=True)
        problem = _ending(code, name)
        self.tell(Event(name, "failed", "", detail=f"{problem.what}; {problem.hint}"))
        return ModelResult(name, "", problem=problem)

    def _reap(self, name: str) -> int:
        """Let go of a worker that has said all it will; gives its exit code."""
        running = self._running.pop(name)
        running.pipe.close()
        running.process.join(_GRACE_SECONDS)
        if running.process.exitcode is None:  # frameworks' threads and destructors can hang at exit
            running.process.kill()
            running.process.join()
        return running.process.exitcode or 0

    @contextmanager
    def _ended(self) -> Iterator[None]:
        """Ends all workers that are still there afterwards."""
        try:
            yield
        finally:
            for each in self._running.values():
                each.process.terminate()
            for each in self._running.values():
                each.process.join(_GRACE_SECONDS)
                if each.process.exitcode is None:
                    each.process.kill()
                    each.process.join()
                each.pipe.close()
            self._running.clear()


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """What is started inside never hears Ctrl-C, not even while it starts; this process hears it afterwards."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _ending(code: int, name: str) -> Problem:
    if code == -signal.SIGKILL:
        return Problem(
            "OutOfResources", "", "", "the process was killed, most likely as the machine had no memory left",
            "give it more memory, use fewer calibration batches, or build for fewer targets at a time",
        )  # fmt: skip
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code} and without a result"
    return Problem("Crash", "", "", f"the process {how}", f"see the log {Path('logs') / f'{name}.log'} of the output")

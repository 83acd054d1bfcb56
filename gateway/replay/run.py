"""Sends the requests of a log, so many at a time, and holds the answers against others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass

from gateway.replay.judge import Outcome, expected_of, judged, outcome_of
from gateway.replay.results import Results
from gateway.replay.target import GrpcTarget, HttpTarget
from gateway.tap.daemon import in_daemon
from gateway.tap.datatypes import Undecodable
from gateway.tap.recording.read import RecordedLog
from gateway.tap.recording.segment import Recorded
from gateway.tap.user_function import UserFunction
from gateway.traffic.mirror_sections import CompareSection


@dataclass(frozen=True, slots=True)
class Side:
    """Who is asked.

    Attributes:
        target: the server.
        model: the model; empty for the one that the client asked for.
        version: its version; empty for the one that the client asked for, or with a model of its own for any.
    """

    target: HttpTarget | GrpcTarget
    model: str = ""
    version: str = ""

    def named(self, request: Recorded) -> tuple[str, str]:
        """The model and version that a request goes to."""
        if self.model:
            return self.model, self.version
        return request.model, self.version or request.version


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done.

    Attributes:
        to: the candidate.
        against: the baseline; None for the recorded answers.
        section: when answers agree.
        function: the user's own, where the section judges by one.
        limit: only so many requests; None for all.
        rate: requests a second; None for as fast as it goes.
        concurrency: most requests under way.
    """

    to: Side
    against: Side | None
    section: CompareSection
    function: UserFunction | None = None
    limit: int | None = None
    rate: float | None = None
    concurrency: int = 8


async def replay(log: RecordedLog, plan: Plan, results: Results, advance: Callable[[], None] = lambda: None) -> None:
    """Send the requests in the order in which they arrived.

    Args:
        log: where they are.
        plan: what is to be done with them.
        results: counts what came of it.
        advance: called after each request.

    Raises:
        SetupError: the log cannot be read, or a server cannot be reached or does not serve the model.
    """
    room = asyncio.Semaphore(plan.concurrency)
    checked: set[tuple[str, str, str]] = set()
    clock = asyncio.get_running_loop().time
    began, number = clock(), 0

    async def one(request: Recorded) -> None:
        try:
            await _one(request, plan, results)
            advance()
        finally:
            room.release()

    try:
        async with asyncio.TaskGroup() as group, aclosing(log.requests()) as requests:
            async for request in requests:
                await _check(request, plan, checked)
                if plan.rate is not None:
                    await asyncio.sleep(began + number / plan.rate - clock())
                await room.acquire()
                group.create_task(one(request))
                number += 1
                if number == plan.limit:
                    break
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def _check(request: Recorded, plan: Plan, checked: set[tuple[str, str, str]]) -> None:
    """Make sure, once for each model, that both sides serve it."""
    for side in filter(None, (plan.to, plan.against)):
        key = (side.target.url, *side.named(request))
        if key not in checked:
            await side.target.check(*key[1:])
            checked.add(key)


async def _one(request: Recorded, plan: Plan, results: Results) -> None:
    """Ask one side after the other: beside each other they would take time from each other."""
    expected = expected_of(request) if plan.against is None else await _ask(plan.against, request)
    got = await _ask(plan.to, request)
    difference = None
    if expected is not None:  # in a thread, so that the answers of others are not found late
        run = asyncio.to_thread if plan.function is None else in_daemon
        difference = await run(judged, expected, got, plan.section, plan.function)
    results.add(request, got, expected, difference)


async def _ask(side: Side, request: Recorded) -> Outcome:
    model, version = side.named(request)
    try:
        answer = await side.target.infer(model, version, request.request)
    except Undecodable as error:
        return Outcome(side.target.url, model, version, None, failure=f"it cannot be sent: {error.message}")
    return await asyncio.to_thread(outcome_of, side.target, answer, request.request.classification)

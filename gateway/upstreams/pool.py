"""Many Tritons as one upstream.

What is decided is decided by pure functions beside this module: who is fit (`health.py`), who has which model
(`placement.py`), who gets a request (`picking.py`, `sequences.py`), whether it is sent again (`retry.py`), and what
several answers mean together (`everywhere.py`). The roster knows the Tritons and how they are; here they are asked.
"""

from __future__ import annotations

import asyncio
import random as _random
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

from gateway.config import BalanceSection
from gateway.core.call import Call, ClientStream, Operation, Protocol, Reply
from gateway.core.errors import GatewayError, SequenceLost, UpstreamBroken, UpstreamError, UpstreamUnavailable
from gateway.upstreams.base import Upstream
from gateway.upstreams.endpoint import Endpoint, Member
from gateway.upstreams.everywhere import Answer, Reach, decide, is_ready, plain, reach
from gateway.upstreams.health import Outcome
from gateway.upstreams.picking import Random, pick
from gateway.upstreams.replay import Replay
from gateway.upstreams.retry import MAX_RETRIES, RetryBudget, is_safe
from gateway.upstreams.roster import EndpointStatus, Roster
from gateway.upstreams.sequences import Homes, key_of, rank
from gateway.upstreams.subsets import Subset

__all__ = ["Endpoint", "EndpointStatus", "Pool"]

# Looking up a member of an Enum costs as much as the rest of a decision.
_INFER = Operation.INFER
_GRPC = Protocol.GRPC
_STATISTICS = Operation.MODEL_STATISTICS
_CHANGES_PLACEMENT = (Operation.LOAD_MODEL, Operation.UNLOAD_MODEL)

Ask = Callable[[Member], Awaitable[Reply]]


class Pool:
    """Routes calls of both protocols to the endpoints that can answer them. `start` it before, `aclose` it after use.

    Args:
        endpoints: the Tritons; at least one. The pool closes them.
        balance: how requests are spread.
        now: seconds of a monotonic clock.
        random: where chance comes from.
    """

    def __init__(
        self,
        endpoints: Iterable[Endpoint],
        balance: BalanceSection,
        now: Callable[[], float] = time.monotonic,
        random: Random = _random.random,
    ) -> None:
        self._now = now
        self._random = random
        self._roster = Roster(endpoints, balance, now)
        self._balance = balance
        self._budget = RetryBudget(balance.retry_budget_percent)
        self._homes: Homes[Member] = Homes(balance.sequence_idle_seconds)

    async def start(self) -> None:
        """Check all endpoints at once, so that it is known who has what; then again and again in the background."""
        await self._roster.start()

    async def reconfigure(self, endpoints: Iterable[Endpoint], balance: BalanceSection) -> None:
        """Go by another configuration from now on, without dropping a request.

        An endpoint that is the same as before (name and upstreams) keeps its connections, its sequences and what is
        known of it. A new one gets requests after its first check. One that is gone finishes what it has, and is
        closed then.
        """
        await self._roster.replace(endpoints, balance)
        self._balance = balance
        self._budget.percent = balance.retry_budget_percent
        self._homes.idle_seconds = balance.sequence_idle_seconds

    async def aclose(self) -> None:
        """Give up all connections, and stop checking."""
        await self._roster.aclose()

    def status(self) -> list[EndpointStatus]:
        """How the endpoints are, in their order."""
        return self._roster.status()

    async def infer(self, call: Call) -> Reply:
        """Answer `call` as `Upstream.infer` says.

        Raises:
            SequenceLost: the Triton that held its sequence's state is gone.
        """
        if call.operation is not _INFER and (how := reach(call)) is not Reach.ONE:
            return await self._everywhere(call, how)
        member = self._first(call)
        try:
            answer = (member.grpc if call.protocol is _GRPC else member.http).infer(call)
            return await self._ask(call, member, answer)
        except UpstreamError as error:
            failed = error
        try:
            return await self._again(call, member, failed, lambda other: _upstream(other, call).infer(call))
        finally:
            del failed  # its traceback knows this frame, and the frame the request's body: a cycle of many megabytes

    async def stream(self, call: Call, client: ClientStream) -> Reply:
        """Serve the stream `call` as `Upstream.stream` says.

        Raises:
            SequenceLost: the Triton that held its sequence's state is gone.
        """
        replay = Replay(client)
        member = self._first(call)
        try:
            return await self._ask(call, member, _upstream(member, call).stream(call, replay))
        except UpstreamError as error:
            failed = error

        def ask(other: Member) -> Awaitable[Reply]:
            replay.rewind()
            return _upstream(other, call).stream(call, replay)

        try:
            return await self._again(call, member, failed, ask, replay)
        finally:
            del failed  # as above

    # One endpoint answers.

    def _first(self, call: Call) -> Member:
        """Who is to answer `call`, which has just come."""
        now = self._now()
        self._budget.request(now)
        subset = self._roster.subset(call.target) if call.target else self._roster.default
        if call.sequence is not None:
            return self._home(call, subset, now)
        if subset.only is not None:
            return subset.only
        return pick(subset.candidates(call.model, call.version), now, self._random)

    def _other(self, call: Call, tried: Sequence[Member]) -> Member | None:
        """Who is to answer `call` after `tried` have failed; the same one, once, where there is no other."""
        same = tried[0] if len(tried) == 1 else None
        if call.sequence is not None and not call.sequence.start:
            return same
        candidates = self._roster.subset(call.target).candidates(call.model, call.version)
        others = [member for member in candidates if member not in tried]
        if not others:
            return same
        if call.sequence is not None:
            return self._settle(call, others)
        return pick(others, self._now(), self._random)

    def _home(self, call: Call, subset: Subset, now: float) -> Member:
        """Where in `subset` the sequence of `call` lives, or is to live."""
        candidates = subset.candidates(call.model, call.version)
        home = self._homes.find(key_of(call), now)
        if home is None:
            return self._settle(call, candidates)
        member, health = home.endpoint, home.endpoint.health
        alive = member in candidates or (
            member in subset.members
            and health.reachable
            and health.ejected_until is None
            and member.has(call.model, call.version)
        )
        if alive and home.life == member.life:
            return member
        self._homes.forget(key_of(call))
        if call.sequence is not None and call.sequence.start:
            return self._settle(call, candidates)
        raise _lost(call)

    def _settle(self, call: Call, candidates: Sequence[Member]) -> Member:
        member = rank(key_of(call), candidates)[0]
        self._homes.remember(key_of(call), member, member.life, self._now())
        return member

    async def _ask(self, call: Call, member: Member, answer: Awaitable[Reply]) -> Reply:
        """Wait for `answer`, which `member` gives, and learn from it."""
        member.in_flight += 1
        try:
            reply = await answer
        except (UpstreamUnavailable, UpstreamBroken):
            self._roster.failed(member, call.protocol)
            raise
        finally:
            member.in_flight -= 1
            if member.leaving and not member.in_flight:
                member.emptied.set()
        member.replies += 1
        if member.health.failures:
            member.health.succeeded(call.protocol)
        if call.sequence is not None and call.sequence.end:
            self._homes.forget(key_of(call))
        return reply

    async def _again(
        self, call: Call, member: Member, error: UpstreamError, ask: Ask, replay: Replay | None = None
    ) -> Reply:
        """Ask others (or once more) after `error`, where that is safe and within the budget; raises the last error."""
        tried = [member]
        while len(tried) <= MAX_RETRIES and is_safe(call, error, self._balance.retry_sent_inference):
            if replay is not None and not replay.untouched:
                break
            other = self._other(call, tried)
            if other is None or not self._budget.take(self._now()):
                break
            tried.append(other)
            try:
                return await self._ask(call, other, ask(other))
            except UpstreamError as again:
                error = again
        if call.sequence is not None and isinstance(error, UpstreamUnavailable):
            self._homes.forget(key_of(call))
            if not call.sequence.start:
                raise _lost(call) from None
        try:
            raise error
        finally:
            del error  # as in `infer`

    # All endpoints answer.

    async def _everywhere(self, call: Call, how: Reach) -> Reply:
        self._budget.request(self._now())
        asked = self._concerned(call, how)
        if len(asked) > 1:
            call = plain(call)
        answers = await self._answers(call, how, asked)
        if call.operation in _CHANGES_PLACEMENT:
            await asyncio.gather(*[self._roster.look(member) for member in asked])
        return decide(call, how, answers)

    def _concerned(self, call: Call, how: Reach) -> Sequence[Member]:
        members = self._roster.members
        if call.target or how is Reach.READY or (call.operation is _STATISTICS and call.model):
            # Who would get no inference is not asked how a model is doing, nor whether there is anybody ready.
            members = self._roster.subset(call.target).members
        there = [member for member in members if member.health.reachable] or members
        if how is Reach.CHANGE:
            return there
        there = [member for member in there if member.health.outcome is Outcome.ANSWERED] or there
        return [member for member in there if member.has(call.model, call.version)] or there

    async def _answers(self, call: Call, how: Reach, asked: Sequence[Member]) -> list[Answer]:
        """What those `asked` say to `call`; no more than one yes is waited for where that is enough."""

        async def answer(member: Member, again: bool) -> Answer:
            try:
                return member.label, await self._ask(call, member, _upstream(member, call).infer(call))
            except UpstreamError as error:
                if not again or not is_safe(call, error, False) or not self._budget.take(self._now()):
                    return member.label, error
            except GatewayError as error:
                return member.label, error
            return await answer(member, again=False)

        tasks = [asyncio.create_task(answer(member, again=True)) for member in asked]
        try:
            for each in asyncio.as_completed(tasks):
                said = await each
                if how is Reach.READY and is_ready(call, said[1]):
                    return [said]
            return [task.result() for task in tasks]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _upstream(member: Member, call: Call) -> Upstream:
    return member.grpc if call.protocol is _GRPC else member.http


def _lost(call: Call) -> SequenceLost:
    name = call.sequence.id if call.sequence is not None else ""
    return SequenceLost(
        f"the state of sequence {name} of model '{call.model}' is lost, because the Triton that held it is gone; "
        "start the sequence again (sequence_start)"
    )

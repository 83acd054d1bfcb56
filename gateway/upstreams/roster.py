"""The endpoints of a pool, how they are, and who of them may be asked for what.

Checks and failed calls change that; the answer to "who may be asked" is computed then, and only looked up by calls.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TypedDict

from gateway.config import BalanceSection
from gateway.core.call import Protocol
from gateway.core.errors import UpstreamUnavailable
from gateway.upstreams.checks import Rounds, check
from gateway.upstreams.endpoint import Endpoint, Member
from gateway.upstreams.health import Health, Outcome
from gateway.upstreams.placement import Ready
from gateway.upstreams.subsets import Subset, subsets

_log = logging.getLogger("gateway.upstreams")


class EndpointStatus(TypedDict):
    """How one endpoint is.

    `ejected_seconds` is how much longer it is left out, `models` how many model versions it has ready (None: unknown).
    """

    name: str
    healthy: bool
    ejected_seconds: float
    in_flight: int
    failures: int
    models: int | None


class Roster:
    """Checks the endpoints, leaves out those that fail, and closes those that are removed.

    Args:
        endpoints: the Tritons; at least one.
        balance: when one of them is left out, and how often they are checked.
        now: seconds of a monotonic clock.

    Attributes:
        members: all of them, in their order.
        default: those who are asked by calls that name no target.
    """

    def __init__(self, endpoints: Iterable[Endpoint], balance: BalanceSection, now: Callable[[], float]) -> None:
        self.members: tuple[Member, ...] = ()
        self.default: Subset
        self._subsets: dict[str, Subset]
        self._balance = balance
        self._now = now
        self._rounds = Rounds(balance.check_seconds)
        self._leaving: dict[asyncio.Task[None], Member] = {}
        self._changing = asyncio.Lock()
        self._closed = False
        self._seat([self._member(endpoint) for endpoint in endpoints])

    async def start(self) -> None:
        """Check all endpoints once, and go on checking in the background."""
        await asyncio.gather(*[self.look(member) for member in self.members])
        for member in self.members:
            self._watch(member)

    async def replace(self, endpoints: Iterable[Endpoint], balance: BalanceSection) -> None:
        """Go on with other endpoints; those that are the same stay as they are."""
        async with self._changing:
            known = {member.endpoint: member for member in self.members}
            members = []
            for one in endpoints:
                member = known.pop(one, None) or self._member(one)
                member.endpoint = one  # perhaps in another group now
                members.append(member)
            new = [member for member in members if member not in self.members]
            self._balance = balance
            self._rounds.seconds = balance.check_seconds
            for member in members:
                member.health.tune(balance.eject_after_failures, balance.eject_seconds)
            await asyncio.gather(*[self.look(member) for member in new])
            self._seat(members)
            for member in new:
                self._watch(member)
            for member in known.values():
                await self._rounds.end(member)
                member.leave()
                self._leaving[asyncio.create_task(self._see_off(member), name=f"last calls of {member.name}")] = member

    async def aclose(self) -> None:
        """Stop checking, and give up all connections."""
        self._closed = True
        await self._rounds.aclose()
        leaving = dict(self._leaving)
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        for member in (*self.members, *leaving.values()):
            member.leave()
            await member.endpoint.aclose()

    def subset(self, target: str) -> Subset:
        """Whom `target` means: an endpoint's name, or a group's; empty for the default.

        Raises:
            UpstreamUnavailable: nobody.
        """
        found = self._subsets.get(target)
        if found is None:
            name = "" if ":" in target else f" ({target})"  # a name that is an address is kept from clients
            raise UpstreamUnavailable(
                f"the upstream, or group of upstreams, that this request is meant for{name} is not configured; "
                "tell whoever runs this gateway"
            )
        return found

    def failed(self, member: Member, protocol: Protocol) -> None:
        """A call to `member` failed; it is left out for a while if that was one failure too many."""
        if member.leaving:
            return
        seconds = member.health.failed(protocol, self._now())
        if seconds is None:
            return
        _log.warning(
            "%s is left out for %g s, after %d failures in a row", member.name, seconds, member.health.failures
        )
        member.returning = asyncio.get_running_loop().call_later(seconds, self._return, member)
        self._place()

    async def look(self, member: Member) -> None:
        """Check `member` now."""
        member.checks += 1
        number, replies = member.checks, member.replies
        outcome, ready = await check(member.http, self._balance.check_timeout_seconds)
        if outcome is Outcome.SILENT and member.replies > replies:
            # It is busy: a check waits for a free connection like any call, and stands behind a model that is loading.
            outcome, ready = Outcome.ANSWERED, member.ready
        # A check that was begun before one that is known already, say the one after a model was loaded, is no news.
        if number > member.applied and not member.leaving:
            member.applied = number
            self._learn(member, outcome, ready)

    def status(self) -> list[EndpointStatus]:
        """How the endpoints are, in their order."""
        now = self._now()
        return [
            EndpointStatus(
                name=member.name,
                healthy=member.health.outcome is Outcome.ANSWERED,
                ejected_seconds=round(max(0.0, (member.health.ejected_until or now) - now), 1),
                in_flight=member.in_flight,
                failures=member.health.failures,
                models=None if member.ready is None else sum(1 for _, version in member.ready if version),
            )
            for member in self.members
        ]

    def _member(self, endpoint: Endpoint) -> Member:
        return Member(endpoint, Health(self._balance.eject_after_failures, self._balance.eject_seconds))

    def _seat(self, members: Sequence[Member]) -> None:
        self.members = tuple(members)
        for position, member in enumerate(members, 1):
            member.label = f"upstream {position}" if ":" in member.name else member.name
        self._place()

    def _place(self) -> None:
        """Compute anew who may be asked for what."""
        self._subsets = subsets(self.members, self._balance.panic_percent)
        self.default = self._subsets[""]

    def _watch(self, member: Member) -> None:
        self._rounds.begin(member, lambda: self.look(member))

    def _learn(self, member: Member, outcome: Outcome, ready: Ready | None) -> None:
        news = member.health.checked(outcome)
        if news:
            level = logging.INFO if outcome is Outcome.ANSWERED else logging.WARNING
            _log.log(level, "%s %s", member.name, outcome.value)
            if outcome is Outcome.UNREACHABLE:
                member.life += 1
            if outcome is Outcome.ANSWERED and member.returning is not None:
                member.returning.cancel()
        # Whoever does not answer is still the one who has its models: nobody else is asked for them in its place.
        moved = outcome is Outcome.ANSWERED and ready != member.ready
        if moved:
            member.ready = ready
        if news or moved:
            self._place()

    def _return(self, member: Member) -> None:
        member.health.returned()
        _log.info("%s is left out no longer", member.name)
        self._place()

    async def _see_off(self, member: Member) -> None:
        await member.emptied.wait()
        await member.endpoint.aclose()
        self._leaving.pop(asyncio.current_task())  # type: ignore[arg-type]  # it runs in one

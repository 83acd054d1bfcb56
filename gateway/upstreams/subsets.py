"""Whom a call's target means, and who of them may be asked for what.

It is computed when something has changed; calls only look it up.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.errors import UpstreamUnavailable
from gateway.upstreams.endpoint import Member
from gateway.upstreams.picking import eligible
from gateway.upstreams.placement import holders


class Subset:
    """The members that one target means.

    Args:
        members: at least one.
        panic_percent: the share of them that must be fit; with fewer, also others are asked.

    Attributes:
        members: all of them, in their order.
        only: the one that there is, if there is but one.
    """

    __slots__ = ("_anywhere", "_placed", "members", "only")

    def __init__(self, members: Sequence[Member], panic_percent: int) -> None:
        self.members = tuple(members)
        self.only = members[0] if len(members) == 1 else None
        self._anywhere = eligible(members, panic_percent)
        self._placed: dict[tuple[str, str], tuple[Member, ...]] = {}
        if self.only is None:
            self._placed = {key: eligible(who, panic_percent) for key, who in holders(members).items()}

    def candidates(self, model: str, version: str) -> Sequence[Member]:
        """Who may be asked about a model version ("" for any); about a server-wide matter, if there is no model.

        Raises:
            UpstreamUnavailable: nobody.
        """
        found = self._placed.get((model, version))
        if found is None:
            found = self._anywhere  # nobody is known to have it: any Triton can say so in its own words
        if not found:
            raise UpstreamUnavailable("no Triton that could answer this is well right now; try again shortly")
        return found


def subsets(members: Sequence[Member], panic_percent: int) -> dict[str, Subset]:
    """By target: the members that have the name or are in the group; of the empty target, those that are in no group.

    Where every member is in a group, the empty target means all.
    """
    found: dict[str, list[Member]] = {"": []}
    for member in members:
        for target in {member.name, member.endpoint.group}:
            found.setdefault(target, []).append(member)
    found[""] = found[""] or list(members)
    return {target: Subset(who, panic_percent) for target, who in found.items()}

"""The routes and aliases as a table: one look-up finds where a call may go, and `choose` says where it goes; pure.

A table never changes. Another configuration or snapshot makes another one, which takes over whatever is as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_network
from typing import NamedTuple

from msgspec import Struct

from gateway.core.call import Call
from gateway.core.errors import InvalidRequest
from gateway.traffic.matching import Network, Source, When, source
from gateway.traffic.sections import HUNDRED, RouteSection, TargetSection, TrafficSection
from gateway.traffic.snapshot import Override, Snapshot
from gateway.traffic.split import Split, stable

_SHOWN = 40  # characters of a version that does not exist


class Target(Struct, frozen=True, gc=False):
    """Where a call may go.

    Attributes:
        label: what it is called; empty where no route says so.
        model: the real model.
        version: its version; empty for the one that the client asks for, or that is served.
        upstreams: the upstream, or the group of them; empty for any.
    """

    label: str
    model: str
    version: str
    upstreams: str


class Way(Struct, frozen=True, gc=False):
    """All that is left to choose from for one call.

    Attributes:
        route: the route's name; empty for none.
        split: the targets that are eligible, by weight.
        targets: the same by their names, with those that weigh nothing.
        sources: what a client is known by, if it is to get the same target each time; the first that a call has.
        version: what a target without a version is asked for.
    """

    route: str
    split: Split[Target]
    targets: Mapping[str, Target]
    sources: tuple[Source, ...] = ()
    version: str = ""

    def asked_for(self, version: str) -> Way:
        """The same for calls that ask for a version which no target has of its own."""
        return Way(self.route, self.split, self.targets, self.sources, version)

    def choose(self, call: Call, random: Callable[[], float]) -> Target:
        """The target of `call`, by what its client is known by, else by `random` (at least 0, below 1)."""
        if self.split.only is not None:
            return self.split.only
        for find in self.sources:
            key = find(call)
            if key is not None:
                return self.split.at(stable(self.route, key))
        return self.split.by(random)

    def keyed(self, key: str) -> Target:
        """The target of whoever has this key."""
        return self.split.only or self.split.at(stable(self.route, key.encode("utf-8", "surrogatepass")))


class _Common(NamedTuple):
    """What is the same for all routes."""

    tenant_header: bytes | None
    trusted: tuple[Network, ...]


class _Route(Struct, frozen=True, gc=False):
    """A compiled route.

    Attributes:
        section: what it was compiled from.
        override: and with.
        when: which calls it is for; None for all.
        way: for calls that leave the version open.
        versions: for those that name a version that targets have.
        open: for those that name another one; None if every target has its own.
    """

    section: RouteSection
    override: Override | None
    when: When | None
    way: Way
    versions: Mapping[str, Way]
    open: Way | None

    def asked_for(self, version: str) -> Way:
        """The way to one version.

        Raises:
            InvalidRequest: there is none.
        """
        exact = self.versions.get(version)
        if exact is not None:
            return exact
        if self.open is None:
            there = ", ".join(sorted(self.versions, key=int))
            raise InvalidRequest(
                f"model '{self.section.model}' has no version {version[:_SHOWN]!r}; there are: {there}; "
                "name one of them, or none to have the gateway choose"
            )
        return self.open.asked_for(version)


class _Name(Struct, frozen=True, gc=False):
    """What a public name means.

    Attributes:
        routes: of these the first that a call is one for.
        version: the version that an alias says.
        direct: the way of calls that no route is for; None if these go as they are.
    """

    routes: tuple[_Route, ...]
    version: str = ""
    direct: Way | None = None


class Table:
    """All routes and aliases under one configuration and one snapshot; `compile` makes it.

    Args:
        names: what the public names mean.
        routes: all routes by their labels.
        common: what was compiled into them.
    """

    __slots__ = ("_common", "_names", "_routes")

    def __init__(self, names: Mapping[str, _Name], routes: Mapping[str, _Route], common: _Common) -> None:
        self._names = names
        self._routes = routes
        self._common = common

    @classmethod
    def compile(cls, section: TrafficSection, snapshot: Snapshot, before: Table | None = None) -> Table:
        """The table of a configuration and what control has decided beside it.

        An alias that leads back to itself, or to two versions at once, is none: the checks refuse it before. So is one
        with the name of a route.

        Args:
            section: the configuration.
            snapshot: what control has decided.
            before: the table that this one follows; what has not changed is taken from it.
        """
        header = section.tenant_header
        common = _Common(header.lower().encode() if header else None, tuple(map(ip_network, section.trusted_proxies)))
        known = before._routes if before is not None and before._common == common else {}
        routes: dict[str, _Route] = {}
        by_model: dict[str, list[_Route]] = {}
        for each in section.routes:
            label = each.name or each.model
            override = snapshot.routes.get(label)
            route = known.get(label)
            if route is None or route.section is not each or route.override != override:
                route = _route(each, override, common)
            routes[label] = route
            by_model.setdefault(each.model, []).append(route)
        names = {model: _Name(tuple(found)) for model, found in by_model.items()}
        names |= _aliases({**section.aliases, **snapshot.aliases}, names)
        return cls(names, routes, common)

    def is_routed(self, name: str) -> bool:
        """Whether routes are for this name."""
        found = self._names.get(name)
        return found is not None and bool(found.routes)

    def find(self, call: Call) -> Way | None:
        """Where `call` may go; None if its model is no public name of anything, so that it goes as it is.

        Raises:
            InvalidRequest: its model is public, and does not have the version that is asked for.
        """
        name = self._names.get(call.model)
        if name is None:
            return None
        version = name.version
        if call.version:
            if version and version != call.version:
                raise InvalidRequest(
                    f"'{call.model}' is version {version} of its model, and cannot be asked for version "
                    f"{call.version[:_SHOWN]!r}; leave the version out"
                )
            version = call.version
        for route in name.routes:
            if route.when is None or route.when.holds(call):
                return route.asked_for(version) if version else route.way
        return name.direct if name.direct is None or not version else name.direct.asked_for(version)


def weights_of(section: RouteSection, override: Override | None) -> dict[str, float]:
    """Percent of the requests by target; a canary's candidate comes first, and gets nothing before control says so.

    Args:
        section: the route.
        override: what control has decided for it, if anything; means nothing if it was for another section.
    """
    labels = [target.label for target in _targets(section)]
    if section.canary is not None:
        labels.sort(key=lambda label: label != section.canary.candidate)  # type: ignore[union-attr]
    if override is not None and override.weights and override.of == section.digest:
        return {label: override.weights.get(label, 0.0) for label in labels}
    if section.canary is not None:
        return {label: 0.0 if label == section.canary.candidate else HUNDRED for label in labels}
    weights = {target.label: target.weight for target in section.targets}
    return {label: HUNDRED if (weight := weights.get(label)) is None else weight for label in labels}


def _targets(section: RouteSection) -> tuple[TargetSection, ...]:
    return section.targets or (TargetSection(model=section.model, weight=None),)


def _route(section: RouteSection, override: Override | None, common: _Common) -> _Route:
    targets = {
        target.label: Target(
            target.label, target.model, "" if target.version is None else str(target.version), target.upstreams
        )
        for target in _targets(section)
    }
    weighted = [(targets[label], weight) for label, weight in weights_of(section, override).items()]
    sources = tuple(found for by in section.sticky if (found := source(by, *common)) is not None)

    def way(some: Iterable[tuple[Target, float]]) -> Way:
        pairs = list(some)
        return Way(section.label, Split(pairs), {target.label: target for target, _ in pairs}, sources)

    versions = dict.fromkeys(target.version for target in targets.values() if target.version)
    free = [pair for pair in weighted if not pair[0].version]
    return _Route(
        section=section,
        override=override,
        when=When(section.when, common.tenant_header) if section.when is not None else None,
        way=way(weighted),
        versions={version: way(pair for pair in weighted if pair[0].version == version) for version in versions},
        open=way(free) if free else None,
    )


def _aliases(aliases: Mapping[str, str], names: Mapping[str, _Name]) -> dict[str, _Name]:
    """What the aliases mean, as if the client had asked for what they stand for."""
    found = {}
    there = {alias: meaning for alias, meaning in aliases.items() if meaning and alias not in names}
    for alias in there:
        name, version, seen = alias, "", set[str]()
        while name in there and name not in seen:
            seen.add(name)
            name, _, said = there[name].partition("/")
            if said and version and said != version:
                break
            version = version or said
        else:
            if name not in seen:
                routes = names[name].routes if name in names else ()
                target = Target("", name, "", "")
                found[alias] = _Name(routes, version, Way("", Split([(target, HUNDRED)]), {"": target}))
    return found

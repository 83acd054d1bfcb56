"""Who gets copies of which requests: compiled once from the configuration and from what control has decided."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from gateway.traffic.mirror_sections import MirrorSection
from gateway.traffic.sections import RouteSection, TrafficSection
from gateway.traffic.snapshot import Override, Snapshot

_MIB = 2**20


class Shadow(Struct, frozen=True):
    """One model that gets copies.

    Attributes:
        route: the name of the route whose requests are copied.
        name: what it is called in reports.
        public: the name by which clients call the route.
        model: the model that is asked.
        version: its version; empty for "the server chooses".
        target: which upstream, or which group of them; empty for any that is in no group.
        percent: of the requests.
        seconds: how long a copy may take.
        most_in_flight: copies of one worker.
        most_bytes: of the copies that one worker holds.
        drop_above: clients' requests under way in one worker above which nothing is copied.
        compares: whether both answers go through the side door.
        epoch: the window that is measured; empty for none.
    """

    route: str
    name: str
    public: str
    model: str
    version: str
    target: str
    percent: float
    seconds: float
    most_in_flight: int
    most_bytes: int
    drop_above: int
    compares: bool
    epoch: str

    @property
    def key(self) -> tuple[str, ...]:
        """What it is: another place is another shadow, other limits are not."""
        return (self.route, self.name, self.model, self.version, self.target)


class Mirrors:
    """The shadows of every route's variants; false where there are none at all.

    Args:
        routes: the shadows by route, and by the target that the original went to.
        tenant_header: the header that names the tenant, in lower case.
    """

    def __init__(
        self, routes: Mapping[str, Mapping[str, tuple[Shadow, ...]]], tenant_header: bytes | None = None
    ) -> None:
        self.routes = routes
        self.tenant_header = tenant_header

    @classmethod
    def compile(cls, section: TrafficSection, snapshot: Snapshot) -> Mirrors:
        """What the configuration asks for, with the shadows of canaries that control wants now."""
        routes: dict[str, dict[str, tuple[Shadow, ...]]] = {}
        for route in section.routes:
            if not route.mirrors and route.canary is None:
                continue
            override = snapshot.routes.get(route.label)
            if override is not None and override.of != route.digest:
                override = None
            shadows = _shadows(route, override)
            if shadows:
                routes[route.label] = shadows
        header = section.tenant_header
        return cls(routes, header.lower().encode() if header else None)

    def __bool__(self) -> bool:
        return bool(self.routes)


def _shadows(route: RouteSection, override: Override | None) -> dict[str, tuple[Shadow, ...]]:
    """The shadows of one route, by its targets that have any."""
    epoch = override.epoch if override is not None else ""
    always = tuple(_shadow(route, mirror, mirror.label, epoch) for mirror in route.mirrors)
    labels = [target.label for target in route.targets] or [route.model]
    found = dict.fromkeys(labels, always)
    if override is not None and override.shadow_percent > 0 and route.canary is not None:
        baseline = next(target.label for target in route.targets if target.label != route.canary.candidate)
        found[baseline] = (*always, _canary(route, baseline, override))
    return {label: shadows for label, shadows in found.items() if shadows}


def _canary(route: RouteSection, baseline: str, override: Override) -> Shadow:
    """The candidate, as a shadow of the baseline."""
    assert route.canary is not None  # noqa: S101 - for the type checker
    candidate = next(target for target in route.targets if target.label == route.canary.candidate)
    mirror = MirrorSection(
        model=candidate.model,
        version=candidate.version,
        upstreams=candidate.upstreams,
        percent=override.shadow_percent,
        compare=route.canary.compare,
    )
    return _shadow(route, mirror, f"{baseline}~{candidate.label}", override.epoch)


def _shadow(route: RouteSection, mirror: MirrorSection, name: str, epoch: str) -> Shadow:
    return Shadow(
        route=route.label,
        name=name,
        public=route.model,
        model=mirror.model,
        version="" if mirror.version is None else str(mirror.version),
        target=mirror.upstreams,
        percent=mirror.percent,
        seconds=mirror.timeout_seconds,
        most_in_flight=mirror.most_in_flight,
        most_bytes=mirror.most_mib * _MIB,
        drop_above=mirror.drop_above,
        compares=mirror.compare is not None,
        epoch=epoch,
    )

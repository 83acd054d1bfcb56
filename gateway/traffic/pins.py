"""Which versions of which models traffic is sent to by their number: they must be loaded beside the served one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from gateway.traffic.sections import TrafficSection


def pinned(section: TrafficSection, aliases: Mapping[str, str] | None = None) -> dict[str, frozenset[int]]:
    """For each model the versions that a route, a mirror or an alias names.

    Args:
        section: what is configured.
        aliases: what was said about aliases since, as in `Snapshot.aliases`.
    """
    found: defaultdict[str, set[int]] = defaultdict(set)
    for model, version in _named(section, {**section.aliases, **(aliases or {})}):
        found[model].add(version)
    return {model: frozenset(versions) for model, versions in found.items()}


def _named(section: TrafficSection, aliases: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    for route in section.routes:
        targets = [(target.model, target.version) for target in route.targets]
        mirrors = [(mirror.model, mirror.version) for mirror in route.mirrors]
        for model, version in (*targets, *mirrors):
            if version is not None:
                yield model, version
    for meaning in aliases.values():
        name, _, number = meaning.partition("/")
        if number.isdigit():
            yield name, int(number)

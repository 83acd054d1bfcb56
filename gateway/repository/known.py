"""Which models a repository has or will have, as far as its folder tells: what a configuration may name."""

from __future__ import annotations

from pathlib import Path

from gateway.core.errors import SetupError
from gateway.repository import drops
from gateway.repository.manifest import read_manifest
from gateway.repository.reader import Reader
from gateway.repository.record import versions_in


def known_models(repository: Path) -> dict[str, frozenset[int]]:
    """The models that are there, were dropped, or are fetched when the gateway starts, each with its versions.

    A model that is still to come has none. A folder that cannot be read has no models: that is told where it is needed.
    """
    try:
        manifest, reader = read_manifest(repository), Reader(repository)
        there = {name: frozenset(versions_in(reader.folder(name))) for name in reader.models()}
        dropped = [drop.name for drop in drops.find(repository)]
    except (SetupError, OSError):
        return {}
    return dict.fromkeys((*(manifest.models if manifest else ()), *dropped), frozenset()) | there

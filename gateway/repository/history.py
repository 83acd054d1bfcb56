"""What becomes of a model's versions: pure decisions, from one record to the next.

The highest version that is kept is the one that is served.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from gateway.core.errors import ModelRefused
from gateway.repository.record import ModelRecord, State, VersionRecord


def rolled_back(record: ModelRecord, to: int | None) -> ModelRecord:
    """Serve an earlier version; those above it are retired.

    Args:
        record: the model's.
        to: the version, which may be a retired one; None for the next lower one that is kept.

    Raises:
        ModelRefused: there is no such version, or it is served already.
    """
    if to is None:
        to = max((number for number in record.kept if number != record.served), default=None)
        if to is None:
            raise ModelRefused(f"{record.name}: there is no earlier version to go back to; {_which(record)}")
    if to == record.served:
        raise ModelRefused(f"{record.name}: version {to} is the one that is served already")
    _find(record, to)
    for number in record.kept:
        if number > to:
            record = _moved(record, number, "retired", "rolled back")
    return _moved(record, to, "kept", "")


def retired(record: ModelRecord, version: int) -> ModelRecord:
    """Take one version out of service; it can be brought back.

    Raises:
        ModelRefused: there is no such version, it is retired already, or it is the only one.
    """
    if _find(record, version).state == "retired":
        raise ModelRefused(f"{record.name}: version {version} is retired already ({record.versions[version].reason})")
    if record.kept == (version,):
        raise ModelRefused(
            f"{record.name}: version {version} is the only one that is served; to take the whole model out of service: "
            f"triton-gateway models remove {record.name}"
        )
    return _moved(record, version, "retired", "retired")


def retained(record: ModelRecord, keep_versions: int, pinned: Collection[int] = ()) -> ModelRecord:
    """Without the versions that are too many, the oldest first, retired or not; the served and `pinned` ones stay."""
    others = sorted(number for number in record.versions if number != record.served and number not in pinned)
    surplus = max(0, len(record.versions) - max(1, keep_versions))
    dropped = set(others[:surplus])
    return replace(record, versions={n: version for n, version in record.versions.items() if n not in dropped})


def _find(record: ModelRecord, version: int) -> VersionRecord:
    try:
        return record.versions[version]
    except KeyError:
        raise ModelRefused(f"{record.name}: there is no version {version}; {_which(record)}") from None


def _which(record: ModelRecord) -> str:
    parts = [f"kept: {', '.join(map(str, record.kept)) or 'none'}"]
    if record.retired:
        parts.append(f"retired, and can be gone back to by number: {', '.join(map(str, record.retired))}")
    return "; ".join(parts)


def _moved(record: ModelRecord, version: int, state: State, reason: str) -> ModelRecord:
    return record.with_version(replace(record.versions[version], state=state, reason=reason))

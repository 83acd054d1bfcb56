"""The catalog: everything that is known of each model, from its record in the repository and the live status.

Pure: records and status come in, entries come out. The control API and the command line show the same entries.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from gateway.repository.description import ANY, Description, Tensor

if TYPE_CHECKING:
    from gateway.repository.record import FileRecord, ModelRecord, VersionRecord

_READY = "ready"
_OF_DROPS = frozenset({"preparing", "refused"})
UNKNOWN = "unknown"
"""The state of a model that no running gateway tells of."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a model.

    Attributes:
        number: as Triton names it.
        state: "serving", "kept" (as a folder that Triton sees) or "retired" (set aside).
        published_at: ISO 8601.
        source: the file or folder that was dropped; empty if the version was found in place.
        source_sha256: of all that was dropped; empty where it is not known.
        files: by path relative to the version's folder.
        size_bytes: of all its files.
        reason: why it was set aside; empty otherwise.
    """

    number: int
    state: str
    published_at: str
    source: str
    source_sha256: str
    files: Mapping[str, FileRecord]
    size_bytes: int
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values that `json.dumps` takes, with each file's name, size and sha256."""
        files = {path: {"sha256": file.sha256, "size": file.size} for path, file in self.files.items()}
        return self.summary() | {"source_sha256": self.source_sha256, "files": files}

    def summary(self) -> dict[str, Any]:
        """The same without the files."""
        return {
            "version": self.number,
            "state": self.state,
            "published_at": self.published_at,
            "source": self.source,
            "size_bytes": self.size_bytes,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Entry:
    """One model, or a drop that is not a model yet.

    Attributes:
        name: the model's.
        state: as the running gateway tells; "unknown" where none does.
        reason: why it failed, was refused or waits; empty otherwise.
        step: what is being done with it; empty where nothing is.
        since: when it came into its state, ISO 8601.
        drop: the file or folder in the repository that is being made a version of it; None where there is none.
        versions: the newest first.
        sites: where it is loaded: `state`, `reason`, `seconds`, `versions` and `memory_mib` by the site's name.
        memory_mib: what its backend's processes take, over all sites; None where no site tells.
        version: the one that the rest is about: the served one, or the one that will be; None without versions.
        description: what it is; None where nobody looked into it.
        checks: how it was validated: `name`, `detail` and `seconds` of each check.
        sample: the inputs of that validation in the protocol's JSON form.
    """

    name: str
    state: str = UNKNOWN
    reason: str = ""
    step: str = ""
    since: str = ""
    drop: str | None = None
    versions: tuple[Version, ...] = ()
    sites: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    memory_mib: float | None = None
    version: int | None = None
    description: Description | None = None
    checks: tuple[Mapping[str, Any], ...] = ()
    sample: tuple[Mapping[str, Any], ...] = ()

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """Its inputs; none where they are not known."""
        return self._as_called(self.description.inputs) if self.description else ()

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """Its outputs; none where they are not known."""
        return self._as_called(self.description.outputs) if self.description else ()

    def _as_called(self, tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Triton has no scalars: one plain value for each element of a batch is [batch, 1]."""
        plain = (ANY,) if self.batches else None
        return tuple(replace(each, shape=(ANY, 1)) if each.shape == plain else each for each in tensors)

    @property
    def batches(self) -> bool:
        """Whether the first dimension of every tensor is a batch."""
        return self.description is not None and self.description.batches

    @property
    def serving(self) -> tuple[int, ...]:
        """The versions that are served, the newest first."""
        return tuple(version.number for version in self.versions if version.state == "serving")

    @property
    def size_bytes(self) -> int:
        """Of the files of all its versions."""
        return sum(version.size_bytes for version in self.versions)

    def as_dict(self) -> dict[str, Any]:
        """Everything but the sample, as plain values that `json.dumps` takes."""
        about = self.description
        return self.summary() | {
            "step": self.step,
            "since": self.since,
            "drop": self.drop,
            "versions": [version.summary() for version in self.versions],
            "opset": about.opset if about else "",
            "origin": dict(about.origin) if about else {},
            "ambiguous": list(about.ambiguous) if about else [],
            "checks": [dict(check) for check in self.checks],
            "sites": {name: dict(site) for name, site in self.sites.items()},
        }

    def summary(self) -> dict[str, Any]:
        """What a list of models shows."""
        about = self.description
        return {
            "name": self.name,
            "state": self.state,
            "reason": self.reason,
            "serving": list(self.serving),
            "versions": [version.number for version in self.versions],
            "kind": about.kind if about else None,
            "framework": about.framework if about else None,
            "backend": about.backend if about else None,
            "batches": self.batches,
            "inputs": [_tensor(tensor) for tensor in self.inputs],
            "outputs": [_tensor(tensor) for tensor in self.outputs],
            "size_bytes": self.size_bytes,
            "memory_mib": self.memory_mib,
            "sites": {name: site.get("state", UNKNOWN) for name, site in self.sites.items()},
        }


def entries(records: Mapping[str, ModelRecord], status: Mapping[str, Any]) -> list[Entry]:
    """One entry for each model that is published or being published, in the order of their names.

    Args:
        records: the record of each published model, by its name.
        status: what the running gateway tells of the repository (`{"models": {...}}`); empty without one.
    """
    live = status.get("models") or {}
    return [entry(name, records.get(name), live.get(name) or {}) for name in sorted({*records, *live})]


def entry(name: str, record: ModelRecord | None, live: Mapping[str, Any]) -> Entry:
    """The entry of one model.

    Args:
        name: the model's.
        record: None for a drop that was never published.
        live: what the running gateway tells of it; empty where it tells nothing.
    """
    sites = live.get("sites") or {}
    state, reason = _state(live, sites)
    versions = _versions(record.versions if record else {}, sites)
    serving = (version.number for version in versions if version.state == "serving")
    shown = next(serving, record.served if record else None)
    current = record.versions[shown] if record and shown is not None else None
    memory = [site["memory_mib"] for site in sites.values() if site.get("memory_mib") is not None]
    return Entry(
        name=name,
        state=state,
        reason=reason,
        step=live.get("step") or "",
        since=live.get("since") or "",
        drop=live.get("drop"),
        versions=versions,
        sites=sites,
        memory_mib=sum(memory) if memory else None,
        version=shown,
        description=Description.from_dict(current.description) if current and current.description else None,
        checks=current.checks if current else (),
        sample=current.sample if current else (),
    )


def _state(live: Mapping[str, Any], sites: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    """What is the matter with a model; a drop that is refused or prepared does not change that an older one serves."""
    state, reason = live.get("state") or UNKNOWN, live.get("reason") or ""
    if live.get("drop") and state in _OF_DROPS and any(site.get("versions") for site in sites.values()):
        return _READY, f"{live['drop']} is {state}: {reason}" if reason else ""
    return state, reason


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that was probably meant; None if none is like it."""
    return next(iter(difflib.get_close_matches(name, list(names), n=1)), None)


def _versions(records: Mapping[int, VersionRecord], sites: Mapping[str, Mapping[str, Any]]) -> tuple[Version, ...]:
    """The newest first; served are those that a site has, or the highest that is kept where no site is known."""
    loaded = {int(number) for site in sites.values() for number in site.get("versions") or ()}
    kept = {number for number, record in records.items() if record.state == "kept"}
    served = loaded & kept if sites else {max(kept, default=0)}
    return tuple(_version(records[number], served) for number in sorted(records, reverse=True))


def _version(record: VersionRecord, served: set[int]) -> Version:
    return Version(
        number=record.version,
        state="serving" if record.version in served else record.state,
        published_at=record.published_at,
        source=record.source,
        source_sha256=record.source_sha256,
        files=record.files,
        size_bytes=sum(file.size for file in record.files.values()),
        reason=record.reason,
    )


def _tensor(tensor: Tensor) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "datatype": tensor.datatype,
        "shape": list(tensor.shape),
        "optional": tensor.optional,
        "labels": tensor.labels,
    }

"""Whether a canary's candidate is loaded, as far as the gateway knows; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from gateway.traffic.sections import TargetSection

_ON_THE_WAY = frozenset({"waiting", "loading", "healing"})
_LONGEST_REASON = 160


class Standing(NamedTuple):
    """How it is with a model that requests are to be sent to.

    Attributes:
        is_ready: whether some Triton answers requests for it.
        is_gone: whether none does, and none is about to.
        name: what it is called for people, such as `fraud version 2`.
        trouble: why it is not ready, where something is wrong.
    """

    is_ready: bool
    is_gone: bool
    name: str
    trouble: str = ""


def standing(
    target: TargetSection, repository: Mapping[str, Any] | None, upstreams: Iterable[Mapping[str, str]]
) -> Standing:
    """How it is with a target's model.

    Args:
        target: of a route.
        repository: what the launcher tells of the models that it has Tritons load; None where others load them, and
            nothing is known: it is as good as ready then.
        upstreams: what the launcher tells of them: their addresses, names and groups.
    """
    name = target.model if target.version is None else f"{target.model} version {target.version}"
    if repository is None:
        return Standing(is_ready=True, is_gone=False, name=name)
    model = (repository.get("models") or {}).get(target.model)
    if model is None:
        return Standing(is_ready=False, is_gone=True, name=name, trouble="there is no such model in the repository")
    groups = {each["name"] or each["http"]: each["group"] for each in upstreams}
    asked = [site for label, site in (model.get("sites") or {}).items() if _is_asked(target, label, groups)]
    if any(_has(target, site.get("versions") or ()) for site in asked):
        return Standing(is_ready=True, is_gone=False, name=name)
    states = {site["state"] for site in asked} or {model.get("state")}
    reasons = [site.get("reason") for site in asked if site["state"] not in _ON_THE_WAY] or [model.get("reason")]
    trouble = next((reason for reason in reasons if reason), "")
    if not trouble and "ready" in states:
        trouble = f"{target.model} is loaded without it"
    return Standing(False, not states & _ON_THE_WAY, name, _short(trouble))


def _is_asked(target: TargetSection, site: str, groups: Mapping[str, str]) -> bool:
    """Whether a target's requests may go to this Triton."""
    if not target.upstreams:
        return not groups.get(site)
    return target.upstreams in {site, groups.get(site)}


def _has(target: TargetSection, versions: Collection[int]) -> bool:
    return bool(versions) if target.version is None else target.version in versions


def _short(reason: str) -> str:
    line = " ".join(reason.split())
    return line if len(line) <= _LONGEST_REASON else f"{line[: _LONGEST_REASON - 1]}…"

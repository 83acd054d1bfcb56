"""Routes, aliases and canaries as the control API tells them: what is decided, and what was counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from gateway.control.canary.evidence import Sample
from gateway.control.traffic.manager import Traffic
from gateway.control.traffic.state import Change
from gateway.control.traffic.steering import Steered
from gateway.control.traffic.weights import configured
from gateway.traffic.latency import percentile

_SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_MIRRORED = ("ok", "failed", "timed_out")


def summary(route: Steered) -> dict[str, Any]:
    """A route in short."""
    return {
        "name": route.section.label,
        "model": route.section.model,
        "conditional": route.section.when is not None,
        "weights": route.weights,
        "by_hand": bool(route.state.weights),
        "canary": route.canary.phase if route.canary is not None else None,
        "mirrors": [mirror.label for mirror in route.section.mirrors],
    }


def details(traffic: Traffic, name: str) -> dict[str, Any]:
    """Everything about a route. Counts are since the data workers' start, latencies since the last change.

    Raises:
        NotThere: there is no such route.
    """
    route = traffic.route(name)
    totals, window = traffic.totals(name), route.counted.total() if route.state.epoch else {}
    section, plan = route.section, configured(route.section)
    models = {target.label: target for target in section.targets}
    when = section.when.model_dump(exclude_defaults=True) if section.when is not None else None
    variants = []
    for label, weight in route.weights.items():
        target = models.get(label)
        variants.append(
            {
                "name": label,
                "model": target.model if target else section.model,
                "version": target.version if target else None,
                "upstreams": target.upstreams if target else "",
                "weight": weight,
                "configured": plan[label],
                **_counted(totals.get("variants", {}).get(label) or {}),
                "latency_ms": latency(window.get("variants", {}).get(label) or {}),
            }
        )
    return {
        **summary(route),
        "when": when,
        "sticky": section.sticky,
        "targets": variants,
        "mirrors": _mirrors(route, totals),
        "measured_since": route.state.since if route.state.epoch else None,
        "history": history(route.state.history),
        **reach(traffic),
    }


def canary_summary(route: Steered) -> dict[str, Any]:
    """A canary in short; the route must have one."""
    return {"name": route.section.label, **route.with_canary().summary(), "by_hand": bool(route.state.weights)}


def canary_details(traffic: Traffic, name: str) -> dict[str, Any]:
    """Everything about a canary.

    Raises:
        Refused: there is no such route, or it has no canary.
    """
    route = traffic.route(name)
    canary = route.with_canary()
    evidence = canary.evidence(route.counted.total())
    return {
        **canary_summary(route),
        "verdicts": [verdict.as_dict() for verdict in canary.state.verdicts],
        "evidence": {
            "baseline": _sampled(evidence.baseline),
            "candidate": _sampled(evidence.candidate),
            "shadow": _counted({"ok": evidence.shadow_ok, "failed": evidence.shadow_failed}),
            "compared": _compared({"agreed": evidence.agreed, "differed": evidence.differed}),
        },
        "events": [asdict(event) for event in reversed(canary.state.history)],
        "history": history(route.state.history),
        **reach(traffic),
    }


def reach(traffic: Traffic) -> dict[str, Any]:
    """How far what was decided last has got: its number, how many data workers there are, and how many go by it."""
    revision = traffic.snapshot.revision
    followed = sum(applied >= revision for applied in traffic.applied)
    reached = {"revision": revision, "workers": len(traffic.applied), "workers_follow": followed}
    return reached | ({"unsaved": traffic.unsaved} if traffic.unsaved else {})


def history(changes: list[Change]) -> list[dict[str, Any]]:
    """The last changes, the latest first."""
    return [
        {"at": change.at, "who": change.who, "what": change.what, "why": change.why} for change in reversed(changes)
    ]


def latency(counts: Mapping[str, Any]) -> dict[str, float] | None:
    """Percentiles of what was counted, in milliseconds; None without any."""
    histogram = {int(number): count for number, count in (counts.get("latency") or {}).items() if count}
    if not histogram:
        return None
    return {name: round(percentile(histogram, share) * 1e3, 3) for name, share in _SHARES.items()}


def _sampled(sample: Sample) -> dict[str, Any]:
    return {**_counted({"ok": sample.ok, "failed": sample.failed}), "latency_ms": latency({"latency": sample.latency})}


def _counted(counts: Mapping[str, int]) -> dict[str, Any]:
    ok, failed = counts.get("ok", 0), counts.get("failed", 0)
    return {"ok": ok, "failed": failed, "error_percent": _percent(failed, ok)}


def _mirrors(route: Steered, totals: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The mirrors of the configuration, and the canary's own."""
    counted, compared = totals.get("mirrors", {}), totals.get("compared", {})
    sections = {mirror.label: mirror for mirror in route.section.mirrors}
    told = []
    for label in [*sections, *sorted((counted.keys() | compared.keys()) - sections.keys())]:
        copies, section = counted.get(label) or {}, sections.get(label)
        told.append(
            {
                "name": label,
                "model": section.model if section else None,
                "percent": section.percent if section else None,
                **{name: copies.get(name, 0) for name in _MIRRORED},
                "dropped": copies.get("dropped") or {},
                "latency_ms": latency(copies),
                "compared": _compared(compared.get(label)),
            }
        )
    return told


def _compared(counts: Mapping[str, int] | None) -> dict[str, Any] | None:
    if counts is None:
        return None
    return {**counts, "agreement_percent": _percent(counts.get("agreed", 0), counts.get("differed", 0))}


def _percent(part: int, others: int) -> float | None:
    return round(100 * part / (part + others), 3) if part + others else None

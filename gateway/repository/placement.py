"""Which Tritons hold which models, by rules over the names of models and the names and labels of Tritons; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType

from gateway.config import PlacementRule


@dataclass(frozen=True, slots=True)
class SiteInfo:
    """What is known of a site: its name, its labels, and how many NVIDIA GPUs it has; None where nobody knows."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    gpus: int | None = None


@dataclass(frozen=True, slots=True)
class Placement:
    """Who holds what.

    Attributes:
        models: for the name of each site the models that it holds.
        unplaced: for the name of each model that no site holds, why not and what to do.
        waiting: the same, where nothing is wrong but that a site with a GPU is missing.
    """

    models: Mapping[str, frozenset[str]]
    unplaced: Mapping[str, str]
    waiting: Mapping[str, str] = field(default_factory=dict)

    def sites_of(self, model: str) -> tuple[str, ...]:
        """The names of the sites that hold a model."""
        return tuple(site for site, models in self.models.items() if model in models)


def assign(
    models: Iterable[str],
    sites: Sequence[SiteInfo],
    rules: Sequence[PlacementRule],
    gpus: Mapping[str, str] = MappingProxyType({}),
) -> Placement:
    """Give each model to the sites of the first rule that fits its name, or to all sites where none fits.

    A rule names its sites by `upstreams`, by `labels`, or by both, which then both hold; a rule with neither fits all.
    A model that needs a GPU (`gpus` names it) is given to no site that is known to have none.
    """
    held: dict[str, set[str]] = {site.name: set() for site in sites}
    unplaced: dict[str, str] = {}
    waiting: dict[str, str] = {}
    for model in models:
        rule = next((rule for rule in rules if fnmatchcase(model, rule.models)), None)
        chosen = [site.name for site in sites if rule is None or _fits(rule, site)]
        able = [site.name for site in sites if site.name in chosen and not (model in gpus and site.gpus == 0)]
        for name in able:
            held[name].add(model)
        if chosen and not able:
            waiting[model] = _no_gpu(gpus[model])
        if rule is not None and (reason := _problem(rule, set(held), chosen)):
            unplaced[model] = reason
        elif not chosen:
            unplaced[model] = "there is no Triton to hold it"
    return Placement({name: frozenset(names) for name, names in held.items()}, unplaced, waiting)


def _no_gpu(needed: str) -> str:
    return (
        f"it needs {needed}, and this machine has none: serve it from a Triton on one that has (an upstream in "
        "configs/gateway.yaml), or publish the model as ONNX"
    )


def _fits(rule: PlacementRule, site: SiteInfo) -> bool:
    named = not rule.upstreams or site.name in rule.upstreams
    return named and all(site.labels.get(key) == value for key, value in rule.labels.items())


def _problem(rule: PlacementRule, known: set[str], chosen: Sequence[str]) -> str | None:
    """Why a rule places a model nowhere, or not everywhere where it should."""
    where = f"the rule for {rule.models!r} in repository.placement"
    unknown = [name for name in rule.upstreams if name not in known]
    if unknown:
        names = ", ".join(map(repr, unknown))
        return (
            f"{where} names the upstream {names}, which is not there; there are: {', '.join(sorted(known)) or 'none'}"
        )
    if chosen:
        return None
    labels = ", ".join(f"{key}={value}" for key, value in sorted(rule.labels.items()))
    return f"{where} fits no upstream: none of them has the labels {labels}"

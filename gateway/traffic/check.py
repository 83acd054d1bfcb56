"""What is wrong with the traffic section as a whole: names that do not exist, names that exist twice, loops."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from gateway.traffic.sections import RouteSection, TrafficSection

Place = tuple[str | int, ...]

Models = Mapping[str, Collection[int]]
"""The versions of each model; none of one whose versions nobody knows yet."""


class Problem(NamedTuple):
    """One mistake.

    Attributes:
        place: keys and positions that lead to it, from the section on.
        message: what is wrong, and what to do.
    """

    place: Place
    message: str


def problems(section: TrafficSection, upstreams: Collection[str], models: Models | None) -> Iterator[Problem]:
    """All mistakes that no part of the section can see by itself.

    Args:
        section: what is configured.
        upstreams: names and groups of the upstreams.
        models: the models that there are; None if nobody can tell.
    """
    yield from _routes(section)
    for index, route in enumerate(section.routes):
        for problem in (*_targets(route, upstreams, models), *_mirrors(route, upstreams, models)):
            yield Problem(("routes", index, *problem.place), problem.message)
    yield from alias_problems(section.aliases, {route.model for route in section.routes}, models)


def alias_problems(aliases: Mapping[str, str], public: Collection[str], models: Models | None) -> Iterator[Problem]:
    """The mistakes of aliases alone.

    Args:
        aliases: what each name means.
        public: the names that have routes.
        models: the models that there are; None if nobody can tell.
    """
    for name, meaning in aliases.items():
        place = ("aliases", name)
        target, slash, version = meaning.partition("/")
        if slash and not (version.isdigit() and int(version) > 0):
            yield Problem(place, f"{meaning!r} is neither NAME nor NAME/VERSION, such as magika/3")
        elif name in public:
            yield Problem(place, f"{name!r} has a route already; take the alias away, or give the route another name")
        elif models is not None and name in models:
            yield Problem(place, f"{name!r} is a model itself; give the alias another name, or use a route")
        elif loop := _loop(name, aliases):
            way = " -> ".join(loop)
            yield Problem(place, f"the aliases lead back to where they began: {way}; let one of them name a model")
        elif models is not None and target not in (known := {*models, *public, *aliases}):
            yield Problem(place, f"there is no model or route {target!r}{_nearest(target, known)}")
        elif slash and models and target not in public and (there := models.get(target)) and int(version) not in there:
            yield Problem(place, _no_version(target, int(version), there))


def _loop(name: str, aliases: Mapping[str, str]) -> list[str]:
    """The way from `name` back to it; empty if there is none."""
    way = [name]
    while (following := aliases.get(way[-1], "").partition("/")[0]) in aliases:
        way.append(following)
        if following == name:
            return way
        if following in way[:-1]:
            return []  # a loop of others, who are told
    return []


def _routes(section: TrafficSection) -> Iterator[Problem]:
    """Routes that cannot be told apart, or that are never reached."""
    labels: dict[str, int] = {}
    open_to_all: dict[str, str] = {}
    for index, route in enumerate(section.routes):
        if route.label in labels:
            yield Problem(
                ("routes", index),
                f"route {labels[route.label] + 1} is called {route.label!r} already; give this one a `name` of its own",
            )
        labels.setdefault(route.label, index)
        if route.model in open_to_all:
            yield Problem(
                ("routes", index),
                f"no request for {route.model!r} gets here: route {open_to_all[route.model]!r} before it takes all; "
                "give that one a `when`, or put this one first",
            )
        elif route.when is None:
            open_to_all[route.model] = route.label


def _targets(route: RouteSection, upstreams: Collection[str], models: Models | None) -> Iterator[Problem]:
    if not route.targets and models is not None and route.model not in models:
        hint = _nearest(route.model, models)
        yield Problem(("model",), f"there is no model {route.model!r}{hint}; correct it, or give the route `targets`")
    for index, target in enumerate(route.targets):
        place: Place = ("targets", index)
        yield from _exists(place, target.model, target.version, models)
        yield from _is_configured(place, target.upstreams, upstreams)


def _mirrors(route: RouteSection, upstreams: Collection[str], models: Models | None) -> Iterator[Problem]:
    labels = [mirror.label for mirror in route.mirrors]
    for index, mirror in enumerate(route.mirrors):
        place: Place = ("mirrors", index)
        if mirror.label in labels[:index]:
            yield Problem(place, f"another mirror is called {mirror.label!r}; give each a `name` of its own")
        yield from _exists(place, mirror.model, mirror.version, models)
        yield from _is_configured(place, mirror.upstreams, upstreams)


def _exists(place: Place, model: str, version: int | None, models: Models | None) -> Iterator[Problem]:
    if models is None:
        return
    if model not in models:
        yield Problem((*place, "model"), f"there is no model {model!r}{_nearest(model, models)}")
    elif version is not None and models[model] and version not in models[model]:
        yield Problem((*place, "version"), _no_version(model, version, models[model]))


def _no_version(model: str, version: int, there: Collection[int]) -> str:
    return (
        f"there is no version {version} of {model!r} yet, only {', '.join(map(str, sorted(there)))}; publish it first: "
        f"triton-gateway models publish {model} FILE"
    )


def _is_configured(place: Place, name: str, upstreams: Collection[str]) -> Iterator[Problem]:
    if name and name not in upstreams:
        known = f"; there are: {', '.join(sorted(upstreams))}" if upstreams else "; name one in `upstreams` first"
        yield Problem((*place, "upstreams"), f"there is no upstream and no group of them called {name!r}{known}")


def _nearest(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; there are: {', '.join(sorted(known)[:20])}" if known else "; the repository holds no models yet"

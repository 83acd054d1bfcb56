"""Which web pages may read a model's answers: cross-origin resource sharing, by the model's public name.

Browsers ask before a page of another origin sends anything that a form could not (a preflight), and let it read an
answer only if that says so. Which route a request takes is not known yet when a browser asks: of several routes of a
model the first that says something of this counts.

Source: the Fetch standard, https://fetch.spec.whatwg.org/#http-cors-protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from gateway.core.call import Metadata, Reply
from gateway.frontends.http_head import RequestHead
from gateway.traffic.sections import CorsSection, TrafficSection

_ANY = "*"
_METHODS = (b"access-control-allow-methods", b"GET, POST")
_VARY = b"vary: origin\r\n"


class _Policy(NamedTuple):
    """What one model's pages may do, as it is sent.

    Attributes:
        granted: the header lines of a reply, by the origin that asks; empty for requests that no page makes.
        otherwise: those for every other origin.
        everybody: whether these let it read the reply, too.
        preflight: the answer to a preflight of an origin that may ask; the lines go with it.
    """

    granted: dict[bytes, bytes]
    otherwise: bytes
    everybody: bool
    preflight: Reply


class Cors:
    """The routes' sections `cors`.

    Args:
        sections: by the names that clients call the models by.
    """

    def __init__(self, sections: Mapping[str, CorsSection]) -> None:
        self._policies = {model: _compiled(section) for model, section in sections.items()}

    @classmethod
    def of(cls, section: TrafficSection, aliases: Mapping[str, str] | None = None) -> Cors | None:
        """What the routes say; None if none says anything.

        Args:
            section: the routes, and the configured aliases.
            aliases: those that were given since, or taken away by an empty text.
        """
        sections: dict[str, CorsSection] = {}
        for route in section.routes:
            if route.policies.cors is not None:
                sections.setdefault(route.model, route.policies.cors)
        if not sections:
            return None
        names = {**section.aliases, **(aliases or {})}
        for alias in names:
            found = sections.get(_meant(alias, names))
            if found is not None:
                sections.setdefault(alias, found)
        return cls(sections)

    def lines(self, model: str, origin: bytes) -> bytes:
        """The header lines of every reply to a request for `model` by a page of `origin`; empty for no page."""
        policy = self._policies.get(model)
        return b"" if policy is None else policy.granted.get(origin, policy.otherwise)

    def preflight(self, model: str, origin: bytes) -> Reply | None:
        """The answer to a browser that asks whether a page of `origin` may ask; None if `model` says nothing of it."""
        policy = self._policies.get(model)
        if policy is None:
            return None
        return policy.preflight if policy.everybody or origin in policy.granted else _NO


_NO = Reply(204)  # what a browser takes from it is what it does not say


def model_of(path: bytes) -> str:
    """The model that a path of the protocol is about, whether or not there is such a path; empty for none."""
    parts = path.split(b"/", 4)  # "", "v2", "models", MODEL, what follows
    return parts[3].decode("latin-1") if len(parts) > 3 and parts[2] == b"models" else ""


def origin_of(headers: Metadata) -> bytes:
    """The origin of the page that asks; empty if none does, or if several are said to."""
    given = [value for name, value in headers if name == b"origin"]
    return given[0] if len(given) == 1 else b""


def is_preflight(head: RequestHead) -> bool:
    """Whether a browser asks what a page may do."""
    if head.method != b"OPTIONS":
        return False
    return {b"origin", b"access-control-request-method"} <= {name for name, _ in head.headers}


def _compiled(section: CorsSection) -> _Policy:
    everybody = _ANY in section.origins
    further = b""
    if section.credentials:
        further += b"access-control-allow-credentials: true\r\n"
    if section.expose:
        further += b"access-control-expose-headers: " + _listed(section.expose) + b"\r\n"
    methods = [_METHODS, (b"access-control-max-age", b"%d" % section.max_age_seconds)]
    if section.headers:
        methods.append((b"access-control-allow-headers", _listed(section.headers)))
    preflight = Reply(204, tuple(methods))
    if everybody:
        return _Policy({b"": b""}, _origin_line(_ANY) + further, everybody, preflight)
    granted = {origin.encode(): _origin_line(origin) + _VARY + further for origin in section.origins}
    return _Policy(granted, _VARY, everybody, preflight)


def _origin_line(origin: str) -> bytes:
    return b"access-control-allow-origin: " + origin.encode() + b"\r\n"


def _listed(names: tuple[str, ...]) -> bytes:
    return ", ".join(names).lower().encode()


def _meant(alias: str, aliases: Mapping[str, str]) -> str:
    """The model that an alias stands for in the end; loops are the configuration's checks to refuse."""
    seen: set[str] = set()
    while alias in aliases and alias not in seen:
        seen.add(alias)
        alias = aliases[alias].partition("/")[0]
    return alias

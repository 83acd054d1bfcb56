"""Who asks, and whether a request is one that a route is for; pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import translate
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from gateway.core.call import Call
from gateway.traffic.sections import WhenSection

Network = IPv4Network | IPv6Network
Source = Callable[[Call], bytes | None]
"""Finds in a request what a client is known by; None where the request has no such thing."""

_HOST, _COOKIE, _FORWARDED_FOR = b"host", b"cookie", b"x-forwarded-for"
_WILD = re.compile(r"[*?\[]")


def tenant_of(call: Call, header: bytes | None) -> str:
    """Who asks: the principal, else what `header` (in lower case) says, else nobody: empty.

    Of several such headers the last one counts: a proxy puts its own behind what the client had written.
    """
    if call.principal or header is None:
        return call.principal
    value = _last(call, header)
    return "" if value is None else value.decode("utf-8", "replace")


def client_address(call: Call, trusted: Sequence[Network]) -> str:
    """The address of the client itself: the peer's, or what the proxies in `trusted` say of whom they serve.

    X-Forwarded-For is read from its end, because only what a trusted proxy has written there can be believed: the first
    address that is not a proxy's is the client's. Where a proxy has written what is no address, the client's is not
    known: empty.
    """
    peer = call.peer
    if peer.startswith("::ffff:") and "." in peer:
        peer = peer[7:]  # IPv4 on a socket for both
    if not trusted or (address := _address(peer)) is None or not _within(address, trusted):
        return peer
    for hop in reversed(b",".join([value for name, value in call.metadata if name == _FORWARDED_FOR]).split(b",")):
        written = hop.decode("latin-1").strip()
        if not written:
            continue  # an empty element of a list is none
        before = _address(written)
        if before is None:
            return ""
        address = before
        if not _within(address, trusted):
            break
    return str(address)


class Patterns:
    """The shell's patterns, such as `team-*`, compiled.

    Args:
        patterns: what fits is what fits one of them.
    """

    __slots__ = ("_exact", "_wild")

    def __init__(self, patterns: Iterable[str]) -> None:
        given = list(patterns)
        self._exact = frozenset(pattern for pattern in given if not _WILD.search(pattern))
        wild = [translate(pattern) for pattern in given if pattern not in self._exact]
        self._wild = re.compile("|".join(wild)) if wild else None

    def fit(self, text: str) -> bool:
        """Whether `text` fits one of them, in upper and lower case as it is."""
        return text in self._exact or (self._wild is not None and self._wild.match(text) is not None)


class When:
    """A compiled `when` of a route.

    Args:
        section: the conditions.
        tenant_header: the header that names the tenant, in lower case.
    """

    __slots__ = ("_headers", "_hosts", "_prefix", "_tenant_header", "_tenants")

    def __init__(self, section: WhenSection, tenant_header: bytes | None) -> None:
        self._headers = [
            (name.lower().encode("utf-8"), Patterns((pattern,))) for name, pattern in section.headers.items()
        ]
        self._tenants = Patterns(section.tenants) if section.tenants else None
        self._hosts = Patterns(host.lower() for host in section.hosts) if section.hosts else None
        self._prefix = section.path_prefix
        self._tenant_header = tenant_header

    def holds(self, call: Call) -> bool:
        """Whether all conditions hold for `call`. Without a tenant it fits no pattern of tenants, not even `*`."""
        if self._prefix and call.prefix != self._prefix:
            return False
        if self._tenants is not None:
            tenant = tenant_of(call, self._tenant_header)
            if not tenant or not self._tenants.fit(tenant):
                return False
        if self._hosts is not None and not self._hosts.fit(_host(call)):
            return False
        for name, patterns in self._headers:  # noqa: SIM110 - a generator takes as long as the rest
            if not _has(call, name, patterns):
                return False
        return True


def source(by: str, tenant_header: bytes | None, trusted: Sequence[Network]) -> Source | None:
    """What finds the key that `sticky` names as `by`; None for `sequence`, whose requests go by it anyway."""
    kind, _, name = by.partition(":")
    wanted = name.encode()
    if kind == "header":
        return lambda call: _last(call, wanted) or None
    if kind == "cookie":
        return lambda call: _cookie(call, wanted) or None
    if kind == "tenant":
        return lambda call: tenant_of(call, tenant_header).encode("utf-8", "surrogatepass") or None
    if kind == "peer":
        return lambda call: client_address(call, trusted).encode() or None
    return None


def _last(call: Call, header: bytes) -> bytes | None:
    for name, value in reversed(call.metadata):
        if name == header:
            return value
    return None


def _has(call: Call, header: bytes, patterns: Patterns) -> bool:
    """Whether one of the headers of this name has a value that fits."""
    for name, value in call.metadata:  # noqa: SIM110 - as above
        if name == header and patterns.fit(value.decode("utf-8", "replace")):
            return True
    return False


def _host(call: Call) -> str:
    """The name that the client has called, in lower case and without the port."""
    host = (_last(call, _HOST) or b"").decode("latin-1").lower()
    name, colon, port = host.rpartition(":")
    # A name that ends with the root's dot is the same name.
    return (name if colon and (port.isdigit() or not port) else host).removesuffix(".")


def _cookie(call: Call, wanted: bytes) -> bytes | None:
    for header, value in call.metadata:
        if header == _COOKIE:
            for pair in value.split(b";"):
                name, _, said = pair.partition(b"=")
                if name.strip() == wanted:
                    return said.strip()
    return None


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """The address that `text` is, with a port or without; None for anything else."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])  # a zone means nothing to anybody else
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _within(address: IPv4Address | IPv6Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)

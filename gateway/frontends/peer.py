"""Who is at the other end of a connection: for rules that go by a client's address."""

from __future__ import annotations

import asyncio

_MAPPED = "::ffff:"  # an IPv4 client of a socket that listens to IPv6


def address_of(transport: asyncio.BaseTransport) -> str:
    """The IP address of the other end, without port and zone; empty where there is none, as for a Unix socket."""
    name = transport.get_extra_info("peername")
    if not isinstance(name, tuple):
        return ""
    address = str(name[0]).partition("%")[0]
    return address.removeprefix(_MAPPED) if "." in address else address

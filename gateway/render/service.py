"""How the gateway is found in a cluster."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Service:
    """The Service in front of the gateway's pods.

    Attributes:
        name: of the Service; the resources are called by it too.
        namespace: where it is; empty for the one that is applied to.
        port: that HTTP listens on.
        hosts: names by which clients call it.
        parent: the Gateway that requests come in by, as NAME or NAMESPACE/NAME; empty for none.
    """

    name: str
    namespace: str
    port: int
    hosts: tuple[str, ...]
    parent: str

"""What control has decided beside the configuration: an immutable value that data workers swap in as a whole."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct


class Override(Struct, frozen=True, forbid_unknown_fields=True):
    """What is different for one route.

    Attributes:
        of: the digest of the route's section that it was decided for; for another section it means nothing.
        weights: percent of the requests by target, 100 in sum; empty for those of the configuration.
        epoch: names the window that is measured; with another one counting begins anew. Empty: nothing is measured.
        shadow_percent: percent of the baseline's requests that the candidate gets a copy of.
    """

    of: str
    weights: dict[str, float] = {}
    epoch: str = ""
    shadow_percent: float = 0.0


class Snapshot(Struct, frozen=True, forbid_unknown_fields=True):
    """All that control has decided.

    Attributes:
        revision: rises with every change.
        routes: by the routes' names.
        aliases: names that were given, or given another meaning, while the gateway ran; empty text takes one away.
    """

    revision: int = 0
    routes: dict[str, Override] = {}
    aliases: dict[str, str] = {}

    def as_dict(self) -> dict[str, Any]:
        """The same, as JSON has it."""
        told: dict[str, Any] = msgspec.to_builtins(self)
        return told

    @classmethod
    def of(cls, told: object) -> Snapshot:
        """Read what `as_dict` gave."""
        return msgspec.convert(told, cls)

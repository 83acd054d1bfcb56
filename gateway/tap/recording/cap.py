"""How much of a log is kept: pure."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.tap.recording.places import Kept


def surplus(kept: Sequence[Kept], most_requests: int, most_bytes: int) -> list[Kept]:
    """The segments that have to go, the oldest first, until the rest is within both bounds.

    Args:
        kept: what there is, the oldest first; the last one always stays.
        most_requests: of one model.
        most_bytes: the same.
    """
    requests = sum(each.name.requests for each in kept)
    size = sum(each.bytes for each in kept)
    gone = []
    for each in kept[:-1]:
        if requests <= most_requests and size <= most_bytes:
            break
        gone.append(each)
        requests -= each.name.requests
        size -= each.bytes
    return gone

"""What Triton is told along with a request: what the client said and may say, and what the operator adds."""

from __future__ import annotations

from gateway.core.call import Metadata


def with_added(passed: Metadata, added: Metadata) -> Metadata:
    """The client's headers or metadata that go on, with those of the operator in place of others of the same name."""
    if not added:
        return passed  # nearly always
    names = {name for name, _ in added}
    return (*[pair for pair in passed if pair[0] not in names], *added)

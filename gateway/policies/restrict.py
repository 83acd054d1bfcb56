"""Refuse the calls that need a switch, unless it is on: they change Triton for everybody, or look into it."""

from __future__ import annotations

from gateway.config import AdminSection
from gateway.core.call import Call, ClientStream, Operation, Reply
from gateway.core.errors import Forbidden
from gateway.core.policy import Next, NextStream

_SWITCH = {
    Operation.REPOSITORY_INDEX: "repository_index",
    Operation.LOAD_MODEL: "repository",
    Operation.UNLOAD_MODEL: "repository",
    Operation.TRACE_SETTING: "trace",
    Operation.LOG_SETTING: "logging",
    Operation.SYSTEM_SHARED_MEMORY: "shared_memory",
    Operation.CUDA_SHARED_MEMORY: "shared_memory",
}


class Restrict:
    """The switches of the section `admin`.

    Args:
        section: which of them are on.
    """

    def __init__(self, section: AdminSection) -> None:
        self._refused = {operation: switch for operation, switch in _SWITCH.items() if not getattr(section, switch)}

    async def __call__(self, call: Call, proceed: Next) -> Reply:
        """Refuse, or go on.

        Raises:
            Forbidden: the call's switch is off.
        """
        self._check(call)
        return await proceed(call)

    async def stream(self, call: Call, client: ClientStream, proceed: NextStream) -> Reply:
        """The same; no stream needs a switch today."""
        self._check(call)
        return await proceed(call, client)

    def _check(self, call: Call) -> None:
        switch = self._refused.get(call.operation)
        if switch is not None:
            raise Forbidden(
                f"{call.operation.value} is switched off at this gateway; "
                f"its operator can switch it on with admin.{switch}: true"
            )

"""Where an instance runs: `instance_group`'s kind and device, as Triton passes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backends.common.errors import LoadError

_KINDS = frozenset({"CPU", "GPU", "AUTO", "MODEL"})


@dataclass(frozen=True, slots=True)
class Placement:
    """The instance's kind (`CPU`, `GPU`, `AUTO` or `MODEL`) and the number of its GPU."""

    kind: str
    device_id: int

    @classmethod
    def from_args(cls, args: Mapping[str, str]) -> Placement:
        """From the arguments of the Python backend's `initialize`.

        Raises:
            LoadError: the kind is unknown.
        """
        kind = args.get("model_instance_kind", "CPU").removeprefix("KIND_")
        if kind not in _KINDS:
            raise LoadError(f"instance_group: kind 'KIND_{kind}' is unknown")
        return cls(kind, int(args.get("model_instance_device_id") or 0))

    def gpu(self, available: int, *, missing: str) -> int | None:
        """The number of the GPU to use, or `None` for the CPU; `available` is how many the framework can use.

        `KIND_AUTO` and `KIND_MODEL` take a GPU when there is one.

        Raises:
            LoadError: `KIND_GPU`, but the framework has no such GPU; `missing` says what it lacks.
        """
        if self.kind == "CPU":
            return None
        if self.device_id < available:
            return self.device_id
        if self.kind == "GPU":
            found = f"{available} found" if available else "none found"
            raise LoadError(f"instance_group: KIND_GPU needs GPU {self.device_id}, {found}: {missing}; or use KIND_CPU")
        return 0 if available else None

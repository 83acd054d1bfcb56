"""The first bytes of an engine: which runtime wrote it, of which version, and for which GPUs.

They are read before any runtime is asked, because a runtime says of an engine that it cannot take little more than
that it cannot. Source: `trtexec --getPlanVersionOnly` for TensorRT, measured for TensorRT for RTX 1.7.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from backends.common.errors import LoadError

RTX, TENSORRT = "tensorrt_rtx", "tensorrt"
"""The packages that run engines, which are their builders' names too."""

_TITLES = {RTX: "TensorRT for RTX", TENSORRT: "TensorRT"}
_MAGIC = {b"vtrt": RTX, b"ftrt": TENSORRT}
_COMMON = struct.Struct("<4sI16x4B")  # the tag, the layout's number, and from byte 24 the version
_RTX = struct.Struct(
    "<16xQ8xI"
)  # from byte 16 the size of the whole, from byte 32 a bit for each target, and one for later ones
_RTX_TARGETS = (75, 80, 86, 89, 120, 121)
_BUILD = "build the engine again with `triton-convert`"


@dataclass(frozen=True, slots=True)
class Header:
    """What an engine says of itself.

    Attributes:
        runtime: the package that runs it, "tensorrt" or "tensorrt_rtx".
        version: of the builder; empty where the header does not tell.
        capabilities: compute capabilities that it runs on, such as 89; empty where the header does not tell.
        later: whether it runs on all that are higher, too.
    """

    runtime: str
    version: tuple[int, ...] = ()
    capabilities: tuple[int, ...] = ()
    later: bool = False

    def __str__(self) -> str:
        return f"{_TITLES[self.runtime]} {'.'.join(map(str, self.version))}".rstrip()

    def check_gpu(self, capability: int, gpu: str) -> None:
        """Hold the targets against a GPU.

        Args:
            capability: the GPU's, such as 89.
            gpu: its name.

        Raises:
            LoadError: the engine is for others.
        """
        newer = self.later and capability > max(self.capabilities, default=0)
        if self.capabilities and capability not in self.capabilities and not newer:
            raise LoadError(
                f"the engine is for {targets(self.capabilities)}, and this GPU ({gpu}) is sm_{capability}; "
                f"{_BUILD} for sm_{capability}, or serve it on a machine with such a GPU"
            )


def targets(capabilities: Iterable[int]) -> str:
    """Compute capabilities as people write them, such as "sm_86 or sm_89"."""
    return " or ".join(f"sm_{capability}" for capability in capabilities)


def read_header(path: Path) -> Header:
    """The header of an engine.

    Raises:
        LoadError: the file is no engine, or is cut short.
    """
    with path.open("rb") as file:
        head = file.read(64)
    _refuse_others(path.name, head)
    runtime = _MAGIC.get(head[:4])
    if runtime is None or len(head) < _RTX.size:
        return Header(TENSORRT)  # a layout that is not known here: TensorRT will judge
    _, layout, *version = _COMMON.unpack_from(head)
    if runtime == TENSORRT:
        return Header(TENSORRT, tuple(version) if layout == 0 else ())
    size, mask = _RTX.unpack_from(head)
    found = path.stat().st_size
    if found < size:
        raise LoadError(f"'{path.name}' is cut short: it has {found} of its {size} bytes; copy it again")
    capabilities = tuple(sm for bit, sm in enumerate(_RTX_TARGETS) if mask >> bit & 1)
    return Header(RTX, tuple(version), capabilities, later=bool(mask >> len(_RTX_TARGETS) & 1))


def _refuse_others(name: str, head: bytes) -> None:
    """Refuse what is surely no engine."""
    if head[:4] in _MAGIC:
        return
    if head[4:].lstrip().startswith(b"{"):
        raise LoadError(f"'{name}' has JSON in front of the engine, as Ultralytics writes it; cut that off")
    if not head.strip(b"\0") or head[:1] == b"\x08" or (head.isascii() and head.decode().isprintable()):
        raise LoadError(f"'{name}' is no TensorRT engine, whatever its name says; {_BUILD}")

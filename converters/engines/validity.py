"""What an engine's first bytes tell, so that a wrong engine is found out on any machine, with no GPU and no TensorRT.

NVIDIA documents no such layout. What is used here was seen in plans of TensorRT for RTX 1.7.1.116, built for each
compute capability and for several at once (all numbers little-endian):

======  =======================================================================================================
offset  content
======  =======================================================================================================
0       magic `vtrt`
8       u32: 2 in all that were seen; not looked at
16      u64: size of the whole plan in bytes
24      version of the builder, a byte a part: 01 07 01 74 is 1.7.1.116
28      magic again
32      u32: compute capabilities as bits: 75, 80, 86, 89, 120, 121, and "later ones too" from the lowest bit up
======  =======================================================================================================

Plans of TensorRT for data-centre GPUs begin with `ftrt`, and with the version in the same place: so NVIDIA's developers
say in their issue tracker (TensorRT issue 3073) and projects rely on it; none was at hand to see it. Their GPU and size
are not read. Where there is a GPU, `Runtime.get_engine_validity` of the RTX library and loading the engine say more.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from converters.errors import BadEngine

HEADER_BYTES = 64
MAGICS = {b"vtrt": "tensorrt_rtx", b"ftrt": "tensorrt", b"fake": "fake"}
ENDINGS = (".plan", ".engine", ".trt")
CAPABILITY_BITS = (75, 80, 86, 89, 120, 121)
LATER_BIT = len(CAPABILITY_BITS)

_SIZE = struct.Struct("<Q")
_MASK = struct.Struct("<I")
_ULTRALYTICS_LIMIT = 1 << 20
_REBUILD = "build it again with 'triton-convert build'"


@dataclass(frozen=True, slots=True)
class EngineHeader:
    """What the first bytes of a plan say.

    Attributes:
        builder: "tensorrt" or "tensorrt_rtx".
        version: of the builder, four parts; parts above 255 are cut down to their last byte.
        compute_capabilities: that it was built for; empty where the header does not tell.
        later: it runs on compute capabilities above these too.
        size: of the whole plan in bytes; None where the header does not tell.
    """

    builder: str
    version: str
    compute_capabilities: tuple[int, ...]
    later: bool
    size: int | None


def pack_header(magic: bytes, version: str, compute_capabilities: tuple[int, ...], size: int) -> bytes:
    """A header of this layout, for the shipped double."""
    header = bytearray(HEADER_BYTES)
    header[0:4] = header[28:32] = magic
    header[16:24] = _SIZE.pack(size)
    header[24:28] = bytes(_parts(version))
    bits = sum(1 << CAPABILITY_BITS.index(each) for each in compute_capabilities)
    header[32:36] = _MASK.pack(bits)
    return bytes(header)


def is_engine(path: Path) -> bool:
    """Whether a file is meant to be an engine: its name or its first bytes say so; it may be a damaged one."""
    if path.suffix in ENDINGS or not path.is_file():
        return path.suffix in ENDINGS
    with path.open("rb") as file:
        return file.read(4) in MAGICS


def header_of(path: Path) -> EngineHeader:
    """The header of a file, of which no more is read.

    Raises:
        BadEngine: this is no engine.
    """
    with path.open("rb") as file:
        return inspect(file.read(HEADER_BYTES))


def inspect(data: bytes) -> EngineHeader:
    """Read the header.

    Args:
        data: the plan, or at least its first 64 bytes.

    Raises:
        BadEngine: this is no engine.
    """
    builder = MAGICS.get(bytes(data[:4]), "")
    if not builder or len(data) < HEADER_BYTES:
        hint = f"give the file that a builder wrote ('model.plan'), or {_REBUILD}"
        raise BadEngine(_what_else(data), hint=hint)
    version = ".".join(str(part) for part in data[24:28])
    if builder == "tensorrt":
        return EngineHeader(builder, version, (), later=False, size=None)
    if data[28:32] != data[:4]:
        raise BadEngine("the engine's header is damaged", hint=_REBUILD)
    (bits,) = _MASK.unpack_from(data, 32)
    capabilities = tuple(each for bit, each in enumerate(CAPABILITY_BITS) if bits >> bit & 1)
    return EngineHeader(builder, version, capabilities, bool(bits >> LATER_BIT), _SIZE.unpack_from(data, 16)[0])


def check(
    data: bytes, *, builder: str, version: str, compute_capability: int | None = None, version_compatible: bool = False
) -> EngineHeader:
    """Whether a library could load this engine, as far as its header tells.

    Args:
        data: the whole plan.
        builder: "tensorrt" or "tensorrt_rtx", whichever is to load it.
        version: of that library.
        compute_capability: of the GPU that is to run it; None leaves that open.
        version_compatible: it was built to run on later versions too.

    Raises:
        BadEngine: it is damaged, cut off, of another library or version, or for another GPU.
    """
    header = inspect(data)
    if header.builder != builder:
        raise BadEngine(
            f"the engine is one of {header.builder}, not of {builder}", hint=f"load it with {header.builder}"
        )
    if header.size is not None and header.size != len(data):
        told = f"the engine has {len(data)} bytes and its header says {header.size}"
        raise BadEngine(f"{told}: it was cut off or damaged", hint=f"copy it once more, or {_REBUILD}")
    wanted = _parts(version)
    built = _parts(header.version)
    fits = built <= wanted if version_compatible else built == wanted
    if not fits:
        what = f"the engine was built by {builder} {header.version}, and this is {version}"
        raise BadEngine(what, hint=f"install {builder} {header.version}, or {_REBUILD}")
    _check_gpu(header, compute_capability)
    return header


def _check_gpu(header: EngineHeader, compute_capability: int | None) -> None:
    known = header.compute_capabilities
    if compute_capability is None or not known or compute_capability in known:
        return
    if header.later and compute_capability > max(known):
        return
    names = ", ".join(f"sm_{each}" for each in known)
    raise BadEngine(
        f"the engine is for {names}, and this GPU is sm_{compute_capability}",
        hint=f"add {compute_capability} to the engine's compute_capabilities and {_REBUILD}",
    )


def _what_else(data: bytes) -> str:
    if not data:
        return "the engine's file is empty"
    if MAGICS.get(bytes(data[:4])):
        return f"the engine has {len(data)} bytes, fewer than its header: it was cut off"
    length = int.from_bytes(data[:4], "little")
    if length < _ULTRALYTICS_LIMIT and data[4:5] == b"{" and data[4 + length : 8 + length] in MAGICS:
        return "this is an engine with Ultralytics' metadata in front of it, which no TensorRT runtime reads as it is"
    return "this is no TensorRT engine"


def _parts(version: str) -> tuple[int, ...]:
    """The four bytes that the header keeps of a version such as "10.13.3.9" or "11.4.0.12.post1"."""
    numbers = [int(part) % 256 for part in version.split(".") if part.isdigit()]
    return tuple((*numbers, 0, 0, 0, 0)[:4])

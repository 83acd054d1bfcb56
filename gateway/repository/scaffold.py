"""Write a model folder to begin with: a Python model with pre- and post-processing, which runs as it is."""

from __future__ import annotations

import io
import shutil
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path

from gateway.core.errors import ModelRefused
from gateway.repository.scan import SAFE_NAME

_TEMPLATE = Path(__file__).parent / "templates" / "image_classifier"
_PLACES = {
    "config.pbtxt": "config.pbtxt",
    "labels.txt": "labels.txt",
    "model.py": "1/model.py",
    "README.md": "README.md",
}
"""Where each file of the template goes."""
_NAME = "{{name}}"


def scaffold(folder: Path, name: str) -> list[Path]:
    """Write the model `name` into `folder`, which is a model repository or any other.

    The model appears as a whole or not at all, so a running gateway never sees a half of it.

    Returns:
        The files that were written.

    Raises:
        ModelRefused: the name cannot be a model's, there is something of that name, or the folder cannot be written.
    """
    if not SAFE_NAME.fullmatch(name):
        raise ModelRefused(
            f"a model can't be called {name!r}; it may have letters, digits, '.', '_' and '-', and begins with no sign"
        )
    model = folder / name
    if model.exists() or model.is_symlink():
        raise ModelRefused(f"there is already something at {model}; take another name, or remove that")
    try:
        with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=folder) as scratch:
            written = _write(Path(scratch) / name, name)
            (Path(scratch) / name).rename(model)
    except OSError as error:
        raise ModelRefused(f"{model} cannot be written: {error.strerror}; make the folder {folder} first") from None
    return [model / path for path in written]


def _write(model: Path, name: str) -> list[Path]:
    for source, place in _PLACES.items():
        target = model / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if (_TEMPLATE / source).suffix == ".py":
            shutil.copyfile(_TEMPLATE / source, target)
        else:
            target.write_text((_TEMPLATE / source).read_text("utf-8").replace(_NAME, name), "utf-8")
    (model / "sample.npz").write_bytes(_sample(_png(32, bytes((230, 30, 20)))))
    return sorted(path.relative_to(model) for path in model.rglob("*") if path.is_file())


def _png(size: int, colour: bytes) -> bytes:
    """A square image of one colour (red, green, blue)."""
    head = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + colour * size) * size)
    chunks = ((b"IHDR", head), (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def _sample(image: bytes) -> bytes:
    """A `.npz` with the image as IMAGE [1, 1], as `numpy.savez` writes it; the gateway may run without numpy."""
    head = f"{{'descr': '|S{len(image)}', 'fortran_order': False, 'shape': (1, 1), }}"
    head += " " * (-(len(head) + 11) % 64) + "\n"
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + image
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("IMAGE.npy", array)
    return buffer.getvalue()

"""Fetches the real `tritonserver` into the user's cache folder, once.

The binary comes in the `nvidia-pytriton` wheel. Only the server, its Python backend with the stubs, its response cache
and the libraries they need are unpacked, side by side as in the wheel, because the libraries are found by a path
relative to the binary. Nothing is installed into any Python environment.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from gateway.core.errors import SetupError
from gateway.locks import exclusive
from gateway.wheels import TIMEOUT_SECONDS, Wheel, download

TRITON_VERSION = "2.51.0"
# The wheel's tag asks for glibc 2.35, the files that are used need 2.34 only.
WHEEL = Wheel(
    name="nvidia-pytriton",
    version="0.7.0",
    sha256="21f063ff93bb426d0c06b7a55e7eb9efcfe62c0dddd9a908e9877e18710128df",
    platform="manylinux_2_35_x86_64",
)
PYTHONS = ("3.11", "3.12")  # those for which both a stub and numpy 1.26 exist, from our own lowest version on
_NEEDED_BYTES = 300 * 2**20  # the wheel and what is unpacked from it, for as long as both are there
_ESSENTIAL = (
    "pytriton/tritonserver/bin/tritonserver",
    "pytriton/tritonserver/backends/python/libtriton_python.so",
    "pytriton/tritonserver/backends/python/triton_python_backend_utils.py",
    "pytriton/tritonserver/python_backend_stubs/3.11/triton_python_backend_stub",
    "nvidia_pytriton.libs",
)


@dataclass(frozen=True, slots=True)
class TritonInstall:
    """An unpacked Triton.

    Attributes:
        root: the folder that holds `pytriton/tritonserver/` and `nvidia_pytriton.libs/`.
        version: Triton's own version.
    """

    root: Path
    version: str

    @property
    def server(self) -> Path:
        """The `tritonserver` binary."""
        return self.root / "pytriton/tritonserver/bin/tritonserver"

    @property
    def python_backend(self) -> Path:
        """The folder of Triton's own Python backend."""
        return self.root / "pytriton/tritonserver/backends/python"

    @property
    def caches(self) -> Path:
        """The folder of Triton's response cache implementations."""
        return self.root / "pytriton/tritonserver/caches"

    @property
    def libraries(self) -> Path:
        """The folder of the shared libraries."""
        return self.root / "nvidia_pytriton.libs"

    def stub(self, python: str) -> Path:
        """The Python backend's stub for a Python version such as `3.11`; it may not exist."""
        return self.root / "pytriton/tritonserver/python_backend_stubs" / python / "triton_python_backend_stub"


def default_cache_dir(env: Mapping[str, str]) -> Path:
    """`$XDG_CACHE_HOME/triton-gateway`, or the same below `~/.cache`; a relative value is ignored, as XDG says."""
    cache = env.get("XDG_CACHE_HOME") or ""
    return (Path(cache) if cache.startswith("/") else Path.home() / ".cache") / "triton-gateway"


def ensure_triton(cache_dir: Path, console: Console) -> TritonInstall:
    """Find Triton in the cache folder, or fetch and unpack it there first.

    Two processes may do this at once: one works, the other waits for it. What was interrupted leaves nothing that
    could be taken for complete.

    Raises:
        SetupError: it could not be fetched or stored; one line that says what to do.
    """
    install = TritonInstall(cache_dir.absolute() / f"triton-{TRITON_VERSION}-{WHEEL.sha256[:8]}", TRITON_VERSION)
    if _is_complete(install):
        return install
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with exclusive(cache_dir / ".lock", console, doing="fetching Triton", timeout=TIMEOUT_SECONDS):
            if not _is_complete(install):  # another process may have done it meanwhile
                _fetch(install, cache_dir, console)
    except OSError as error:
        hint = "; free some space, or set another folder: triton.cache_dir" if error.errno in (28, 122) else ""
        hint = hint or "; make it writable, or set another folder: triton.cache_dir"
        raise SetupError(f"Triton cannot be unpacked in {cache_dir}: {error.strerror or error}{hint}") from None
    return install


def _is_complete(install: TritonInstall) -> bool:
    # The folder appears whole, by one rename; this finds the one whose files someone cleaned up later.
    return all((install.root / path).exists() for path in _ESSENTIAL)


def _fetch(install: TritonInstall, cache_dir: Path, console: Console) -> None:
    free = shutil.disk_usage(cache_dir).free
    if free < _NEEDED_BYTES:
        raise SetupError(
            f"Triton needs {_NEEDED_BYTES // 2**20} MiB in {cache_dir}, and {free // 2**20} MiB are free; free some "
            "space, or set another folder: triton.cache_dir"
        )
    for leftover in cache_dir.glob(".unpack-*"):  # of a process that was killed; the lock is ours
        shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".unpack-", dir=cache_dir) as scratch:
        wheel = download(WHEEL, Path(scratch) / "wheel", console)
        unpacked = Path(scratch) / "unpacked"
        _unpack(wheel, unpacked)
        if install.root.exists():
            install.root.rename(Path(scratch) / "incomplete")
        unpacked.rename(install.root)


def _is_needed(name: str) -> bool:
    if "/python_backend_stubs/" in name:
        return any(f"/{python}/" in name for python in PYTHONS)
    if "__pycache__" in name or "libpython3" in name:
        return False  # the bundled libpython3.13 serves only the stub for 3.13
    return name.startswith(("pytriton/tritonserver/", "nvidia_pytriton.libs/")) or "/licenses/" in name


def _unpack(wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            if member.is_dir() or not _is_needed(member.filename):
                continue
            target = Path(archive.extract(member, folder))
            runs = target.name in ("tritonserver", "triton_python_backend_stub")
            target.chmod(0o755 if runs else 0o644)  # zipfile drops the modes

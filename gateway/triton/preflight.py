"""Finds out before the start what would otherwise fail silently or hang.

A backend process that cannot start makes Triton wait for it without end, and with numpy 2 it starts and returns empty
outputs. The facts are gathered in one place, and judged by a function that does no I/O.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.core.errors import SetupError
from gateway.triton.fetch import PYTHONS, TritonInstall

_LOADER = Path("/lib64/ld-linux-x86-64.so.2")
_LISTING_SECONDS = 20.0
_NUMPY = "1.26.4"
_GLIBC = (2, 34)


@dataclass(frozen=True, slots=True)
class Facts:
    """What matters of this machine and this interpreter.

    Attributes:
        system: such as `Linux`.
        machine: such as `x86_64`.
        glibc: its version as numbers, empty where the C library is another.
        python: the running interpreter's version, such as `3.11`.
        implementation: such as `CPython`.
        executable: the running interpreter.
        python3: the `python3` beside it, which Triton will find first; None if there is none.
        same_python: whether that one is the running interpreter too.
        numpy: the version of numpy that is installed with it, None if there is none.
        libpython: the interpreter's shared library, None if it has none.
        bash: whether there is a bash, with which Triton starts its backend processes.
    """

    system: str
    machine: str
    glibc: tuple[int, ...]
    python: str
    implementation: str
    executable: str
    python3: str | None
    same_python: bool
    numpy: str | None
    libpython: Path | None
    bash: bool


def gather(env: Mapping[str, str]) -> Facts:
    """Look at this machine and this interpreter."""
    library, version = platform.libc_ver()
    python3 = shutil.which("python3", path=str(Path(sys.executable).parent))
    return Facts(
        system=platform.system(),
        machine=platform.machine(),
        glibc=tuple(int(part) for part in re.findall(r"\d+", version)) if library == "glibc" else (),
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        implementation=platform.python_implementation(),
        executable=sys.executable,
        python3=python3,
        same_python=python3 is not None and os.path.realpath(python3) == os.path.realpath(sys.executable),
        numpy=_version_of("numpy"),
        libpython=find_libpython(library_candidates()),
        bash=shutil.which("bash", path=env.get("PATH")) is not None,
    )


def problem(facts: Facts) -> str | None:
    """Why the embedded Triton cannot run here, as one sentence that says what to do; None if it can."""
    python, prefix = facts.python, Path(facts.executable).parent.parent
    external = "or name an external Triton with `upstream` in the configuration"
    install_numpy = f"run `{facts.executable} -m pip install numpy=={_NUMPY}`"
    glibc = ".".join(map(str, facts.glibc)) or "another C library"
    problems = (
        (
            facts.system != "Linux" or facts.machine != "x86_64",
            f"the embedded Triton runs on Linux on x86_64, and this is {facts.system} on {facts.machine}: "
            f"use such a machine, {external}",
        ),
        (
            facts.glibc < _GLIBC,
            f"the embedded Triton needs glibc {'.'.join(map(str, _GLIBC))} or newer, and this system has {glibc}: "
            f"use Debian 12, Ubuntu 22.04, RHEL 9 or newer, {external}",
        ),
        (
            facts.implementation != "CPython" or python not in PYTHONS,
            f"the embedded Triton needs CPython {' or '.join(PYTHONS)} (there is no numpy 1.26 for others), and this "
            f"is {facts.implementation} {python}: make the virtual environment with one of these, {external}",
        ),
        (
            facts.numpy is None,
            f"numpy is not installed in {prefix}, and Triton's backends need it: {install_numpy}",
        ),
        (
            not (facts.numpy or "").startswith("1."),
            f"numpy {facts.numpy} is installed in {prefix}, with which Triton's backends silently return empty "
            f"outputs: {install_numpy}",
        ),
        (
            facts.libpython is None,
            f"libpython{python}.so.1.0 is missing, which Triton's backend processes load (this interpreter was built "
            f"without it): install it with `apt install libpython{python}`, or make the virtual environment with an "
            "interpreter that was built with --enable-shared",
        ),
        (
            not facts.bash,
            "bash is not on PATH, and Triton starts its backend processes with it: install bash",
        ),
        (
            not facts.same_python,
            f"the python3 beside {facts.executable} is {facts.python3 or 'missing'}, another interpreter, in which "
            "Triton's backends would look for their packages: install triton-gateway in a virtual environment",
        ),
    )
    return next((message for wrong, message in problems if wrong), None)


def check_libraries(files: Sequence[Path], env: Mapping[str, str]) -> None:
    """Make sure that every shared library of `files` is found in the environment that Triton will have.

    Raises:
        SetupError: one is missing, or too old.
    """
    if not _LOADER.exists():
        raise SetupError(f"{_LOADER} is missing, the loader of glibc: the embedded Triton needs a glibc system")
    for file in files:
        try:
            listing = subprocess.run(
                [_LOADER, "--list", file],
                env=dict(env), capture_output=True, text=True, timeout=_LISTING_SECONDS, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SetupError(f"{file}: its shared libraries cannot be listed: {error}") from None
        missing = missing_libraries(listing.stdout + listing.stderr)
        if missing or listing.returncode:
            what = ", ".join(missing) or listing.stderr.strip().splitlines()[-1:] or "an unknown one"
            raise SetupError(
                f"Triton's {file.name} lacks shared libraries: {what}; install the packages that hold them "
                "(`apt-file search NAME` tells which)"
            )


def missing_libraries(listing: str) -> list[str]:
    """The libraries that the loader's listing says are not there or too old."""
    absent = re.findall(r"^\s*(\S+) => not found", listing, re.MULTILINE)
    absent += re.findall(r"^\S+: error while loading shared libraries: (\S+): ", listing, re.MULTILINE)
    old = re.findall(r"version `(\S+)' not found", listing)
    return list(dict.fromkeys([*absent, *old]))


def library_candidates() -> list[Path]:
    """Where the running interpreter's shared library may lie, the likeliest first."""
    name = f"libpython{sys.version_info.major}.{sys.version_info.minor}.so.1.0"
    multiarch = sysconfig.get_config_var("MULTIARCH") or "x86_64-linux-gnu"
    folders = [
        sysconfig.get_config_var("LIBDIR"),
        f"{sys.base_prefix}/lib",
        f"/usr/lib/{multiarch}",
        "/usr/lib64",
        "/usr/lib",
    ]
    return [Path(folder) / name for folder in folders if folder]


def find_libpython(candidates: Sequence[Path]) -> Path | None:
    """The first of the candidates that exists."""
    return next((path.resolve() for path in candidates if path.is_file()), None)


def check(env: Mapping[str, str], install: TritonInstall) -> Facts:
    """Gather the facts and judge them, and what was unpacked.

    Raises:
        SetupError: the embedded Triton cannot run here.
    """
    facts = gather(env)
    trouble = problem(facts)
    if trouble:
        raise SetupError(trouble)
    for needed in (install.server, install.stub(facts.python)):
        if not needed.is_file():
            raise SetupError(f"{needed} is missing; remove {install.root} so that Triton is fetched again")
    return facts


def _version_of(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None

"""What a result was measured on, and with which versions."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]
_PACKAGES = ("grpcio", "httptools", "uvloop", "numpy", "onnxruntime")


def describe() -> dict[str, Any]:
    """The machine, the commit and the versions of what takes part."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _first_line(["git", "-C", str(_ROOT), "rev-parse", "--short", "HEAD"]) or "unknown",
        "changed": bool(_first_line(["git", "-C", str(_ROOT), "status", "--porcelain", "gateway"])),
        "cpu": cpu_model(Path("/proc/cpuinfo").read_text()),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release().split("-")[0],
        "python": platform.python_version(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
        "tools": {
            "wrk": _tool(["wrk", "--version"]),
            "h2load": _tool(["h2load", "--version"]),
            "nginx": _tool(["nginx", "-v"]),
        },
        "load_before": round(os.getloadavg()[0], 2),
    }


def cpu_model(cpuinfo: str) -> str:
    """The model name in the text of /proc/cpuinfo, with its family and model numbers."""
    fields = dict(re.findall(r"^(model name|cpu family|model)\s*: (.*)$", cpuinfo, re.MULTILINE))
    if "model name" not in fields:
        return "unknown"
    return f"{fields['model name'].strip()} (family {fields.get('cpu family')}, model {fields.get('model')})"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _tool(command: Sequence[str]) -> str:
    found = re.search(r"\d+\.\d+(\.\d+)?", _first_line(command))
    return found[0] if found else "not installed"


def _first_line(command: Sequence[str]) -> str:
    """The first line that a command prints, wherever it prints it; empty if it cannot be run."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "PATH": path, "GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except OSError:
        return ""
    return next(iter((done.stdout + done.stderr).splitlines()), "")

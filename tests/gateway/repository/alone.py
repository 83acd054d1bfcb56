"""Run a few lines of Python in a process of its own, which may confine itself for ever."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).resolve().parents[3]


def run_alone(code: str, *arguments: str) -> str:
    """What the lines print; they find `arguments` in `sys.argv[1:]`, and `attempt(function)` to see what is refused."""
    prelude = """
        import os, sys
        from pathlib import Path
        def attempt(function, *arguments):
            try:
                function(*arguments)
            except OSError as error:
                return os.strerror(error.errno)
            return "allowed"
    """
    result = subprocess.run(  # the lines are the test's own
        [sys.executable, "-c", dedent(prelude) + dedent(code), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()

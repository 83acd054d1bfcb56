"""Where the gateway keeps what it must find again: below `$XDG_STATE_HOME`, or where the configuration says."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.config import Config


@dataclass(frozen=True, slots=True)
class Places:
    """What the launcher tells its children of the file system.

    Attributes:
        state: the file in which control remembers what was decided about traffic.
        reports: the folder for comparisons.
        tap: the socket of the tap process.
    """

    state: Path
    reports: Path
    tap: Path

    @classmethod
    def of(cls, config: Config, env: Mapping[str, str]) -> Places:
        """Decide for one run.

        A gateway whose control port is free to be any has nothing by which it could be known again: what it remembers
        ends with the run. Nothing is made here; whoever writes makes the folder.
        """
        run = Path(tempfile.gettempdir()) / f"triton-gateway-{secrets.token_hex(8)}"
        port = config.control.port
        home = state_home(env) if port else run
        traffic = config.traffic
        return cls(
            traffic.state_file or home / f"traffic-{port}.json",
            traffic.reports or home / f"comparisons-{port}",
            run / "tap",
        )

    def leave(self) -> None:
        """Take away what was kept for this run alone."""
        shutil.rmtree(self.tap.parent, ignore_errors=True)


def state_home(env: Mapping[str, str]) -> Path:
    """`$XDG_STATE_HOME/triton-gateway`, or the same below `~/.local/state`."""
    state = env.get("XDG_STATE_HOME") or ""
    return (Path(state) if Path(state).is_absolute() else Path("~/.local/state").expanduser()) / "triton-gateway"

"""Triton's log: where it lies, its last lines, and the cause of a failure in it. Writing it is the guard's part."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from gateway.core.errors import SetupError
from gateway.places import state_home

TAIL_LINES = 20
_TAIL_BYTES = 256 * 1024
_PARSER = re.compile(r"^\[libprotobuf ERROR [^\]]*\] (?P<text>.*)$")
# `E1121 01:54:17.896080 7278 server.cc:336] "text"`, where the quotes are Triton's and not always there.
_LINE = re.compile(r"^(?P<level>[EWIF])\d{4} [\d:.]+ \d+ (?P<file>[\w.]+):\d+\] (?P<text>.*)$")
# Threads write at the same time, so an entry may begin in the middle of another's line.
_BEGINNING = re.compile(r"(?<!\n)(?=\[libprotobuf ERROR |[EWIF]\d{4} \d\d:\d\d:\d\d\.\d{6} )")


def default_log_file(env: Mapping[str, str], http_port: int) -> Path:
    """`$XDG_STATE_HOME/triton-gateway/triton-<http port>.log`, or the same below `~/.local/state`."""
    return state_home(env) / f"triton-{http_port}.log"


class LogReader:
    """Reads a log that another process appends to and now and then starts afresh."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def position(self) -> int:
        """The log's end now, in bytes; give it to `since` later."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def since(self, position: int) -> str:
        """What was written after `position`, at most the last 256 KiB; all of it if the log was rotated since."""
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, 2)
                start = position if position <= size else 0
                file.seek(max(start, size - _TAIL_BYTES))
                return file.read(_TAIL_BYTES).decode("utf-8", "replace")
        except OSError:
            return ""

    def tail(self, lines: int = TAIL_LINES) -> str:
        """The last lines, without the tables of settings that Triton prints at its start."""
        said = [line for line in self.since(0).splitlines() if line.strip() and not line.startswith(("|", "+-"))]
        return "\n".join(said[-lines:])


def cause_of_failure(log: str, model: str) -> str | None:
    """What Triton logged as an error about `model`, last first; None when it says nothing.

    The API's own answer to a broken configuration is only "failed to poll from model repository".
    """
    name = re.compile(rf"(?<![\w.-]){re.escape(model)}(?![\w.-])")
    found: str | None = None
    parser_said = ""
    for line in _BEGINNING.sub("\n", log).splitlines():
        entry = _LINE.match(line)
        if entry is None:
            if parsing := _PARSER.match(line):  # stands right before the error that it is the cause of
                parser_said = parsing["text"]
        elif entry["level"] in "EF" and name.search(entry["text"]):
            found = entry["text"].strip('"')
            if parser_said and "text proto" in found:
                found = f"{found}: {parser_said}"
    return found


def prepare(path: Path) -> None:
    """Start a fresh log, keeping the one of the run before as `FILE.1`.

    Raises:
        SetupError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path.replace(f"{path}.1")
        path.touch(0o600)
    except OSError as error:
        raise SetupError(
            f"Triton's log {path} cannot be written: {error.strerror}; set another triton.log_file"
        ) from None

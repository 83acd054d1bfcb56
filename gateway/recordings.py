"""Recorded requests on disk: a folder for each model, a file for each request, bounded in number and bytes.

`converters/data/recorded.py` defines the format and reads it. Several workers write to one folder: a file is numbered
by the nanosecond in which its request arrived and the process that took it, so names differ, and sort as requests came.
Requests may hold what is nobody else's business: the gateway's own user alone can read the files, and headers, where
credentials are, are not kept.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from gateway.config import RecordingSection
from gateway.core.call import Call, Protocol
from gateway.wire.oip_http import HEAD_LENGTH
from gateway.wire.parameters import SHARED_MEMORY

_log = logging.getLogger("gateway.recordings")

_FORMAT = 1
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")  # of a model in a repository of ours
_SHARED_MEMORY = SHARED_MEMORY.encode()
_LIST_AFTER = 32  # files of our own; other workers have written some meanwhile
_LIST_AFTER_BYTES = 32 * 2**20
_LIST_SECONDS = 30.0  # somebody may have taken files away meanwhile


@dataclass(slots=True)
class _Folder:
    """What one model's folder holds, as it was listed last and with what was added since."""

    path: Path
    requests: int = 0
    bytes: int = 0
    added: int = 0
    added_bytes: int = 0
    list_at: float = 0.0

    def outdated(self, now: float) -> bool:
        """Whether what it holds may well be something else by now."""
        return self.added >= _LIST_AFTER or self.added_bytes >= _LIST_AFTER_BYTES or now >= self.list_at

    def add(self, size: int) -> None:
        """Count one more file."""
        self.requests += 1
        self.bytes += size
        self.added += 1
        self.added_bytes += size


class Recordings:
    """The folders of all models. Its calls block; one thread makes them.

    Args:
        now: seconds of a monotonic clock.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._folders: dict[Path, _Folder] = {}
        self._unsafe: set[str] = set()

    def keep(self, section: RecordingSection, call: Call, arrived: int) -> None:
        """Write one request, unless its model has as many as it may, or its tensors are not in it.

        Args:
            section: where to, and how many.
            call: an inference over either protocol.
            arrived: when, in nanoseconds since 1970.

        Raises:
            OSError: it cannot be written; nothing of it is left.
        """
        if section.folder is None or call.body.find(_SHARED_MEMORY, 0, call.head_len) >= 0:
            return
        if not _SAFE_NAME.fullmatch(call.model):
            self._tell_of(call.model)
            return
        path = section.folder / call.model
        folder = self._folders.setdefault(path, _Folder(path))
        if folder.outdated(self._now()):
            self._list(folder)
        head = _head(call, arrived)
        size = len(head) + len(call.body)
        if folder.requests >= section.most_requests or folder.bytes + size > section.most_mib * 2**20:
            return
        name = f"{arrived}{os.getpid():07}.{call.protocol.value}"
        try:
            _write(path, name, head, call)
        except FileNotFoundError:  # somebody has taken the whole folder away
            self._list(folder)
            _write(path, name, head, call)
        folder.add(size)

    def _list(self, folder: _Folder) -> None:
        """Count what is there, with files that somebody who died has not finished; make the folder if need be."""
        _make(folder.path)
        folder.requests = folder.bytes = folder.added = folder.added_bytes = 0
        folder.list_at = self._now() + _LIST_SECONDS
        with os.scandir(folder.path) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # another worker has just finished it
                    folder.bytes += entry.stat(follow_symlinks=False).st_size
                    folder.requests += 1

    def _tell_of(self, model: str) -> None:
        if model not in self._unsafe:
            self._unsafe.add(model)
            _log.warning(
                "requests for model %.200r are not recorded: it cannot be the name of a folder, "
                "which is made of letters, digits and ._-",
                model,
            )


def _make(folder: Path) -> None:
    """Make a model's folder and the one that it is in, both for our own user alone."""
    folder.parent.parent.mkdir(parents=True, exist_ok=True)
    for each in (folder.parent, folder):
        each.mkdir(0o700, exist_ok=True)


def _head(call: Call, arrived: int) -> bytes:
    """The line before the body, which the front end has decompressed."""
    said: dict[str, object] = {
        "format": _FORMAT,
        "model": call.model,
        "version": call.version,
        "datetime": datetime.fromtimestamp(arrived // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "length": len(call.body),
    }
    if call.protocol is Protocol.HTTP:
        given = any(name == HEAD_LENGTH for name, _ in call.metadata)
        said |= {"header_length": call.head_len if given else None, "content_encoding": ""}
    return json.dumps(said).encode() + b"\n"


def _write(folder: Path, name: str, head: bytes, call: Call) -> None:
    """Write a hidden file, and let it appear when it is whole."""
    hidden = folder / f".{name}"
    try:
        with open(hidden, "xb", opener=partial(os.open, mode=0o600)) as file:
            file.write(head)
            file.write(call.body)
        hidden.rename(folder / name)
    except OSError:
        hidden.unlink(missing_ok=True)
        raise

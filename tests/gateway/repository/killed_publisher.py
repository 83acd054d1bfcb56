"""Changes a repository in processes that are killed; `test_store.py` runs it as a script.

    killed_publisher REPOSITORY native|steps

For each line `SEED STEP` on its standard input it starts a process and prints its number. With a STEP the process kills
itself before that many changes of files, or ends after one publication; with 0 it goes on until it is killed. When
it is gone, `killed` or `ended` is printed.
"""

import errno
import os
import random
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from atomic.exchange import exchange
from gateway.repository.store import Store
from tests.gateway.repository.store_models import make_drop, make_prepared

CHANGES = frozenset(
    f"os.{name}" for name in ("link", "mkdir", "remove", "rename", "rmdir", "symlink", "truncate", "utime")
)
EXCHANGE = "ctypes.dlsym"


def unsupported(staged: Path, place: Path) -> None:
    """As on a file system that cannot exchange."""
    raise OSError(errno.EINVAL, "unsupported")


def publish(store: Store, repository: Path, content: str, step: int = 0) -> None:
    """Drop a model and publish it, up to a step if one is given."""
    with tempfile.TemporaryDirectory(dir=repository.parent) as scratch:
        drop = make_drop(repository, "m", content)
        prepared = make_prepared(Path(scratch) / "m", "m", content)
        sha256 = store.digest(drop)
        if step:
            kill_at(step)
        store.publish("m", prepared, source="m.onnx", consume=drop, sha256=sha256)


def kill_at(step: int) -> None:
    """Arrange that this process is killed before its `step`-th change of a file or folder."""
    left = [step]

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if writes or event in CHANGES or event == EXCHANGE:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def work(repository: Path, mode: str, seed: int, step: int) -> None:
    """Publish once, or publish and roll back for ever."""
    swap = exchange if mode == "native" else partial(exchange, native=unsupported)
    store = Store(repository, 2, swap=swap)
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    if step:
        publish(store, repository, f"{seed}-{step}", step)
        return
    while True:
        publish(store, repository, str(chance.random()))
        record = store.record("m")
        if record and len(record.kept) > 1 and chance.random() < 0.5:
            store.rollback("m")


def main() -> None:
    repository, mode = Path(sys.argv[1]), sys.argv[2]
    for line in sys.stdin:
        seed, step = map(int, line.split())
        child = os.fork()
        if child == 0:
            work(repository, mode, seed, step)
            os._exit(0)
        print(child, flush=True)
        print("killed" if os.WIFSIGNALED(os.waitpid(child, 0)[1]) else "ended", flush=True)


if __name__ == "__main__":
    with patch("os.fsync"):  # processes are killed, not the machine: nothing is lost that was written
        main()

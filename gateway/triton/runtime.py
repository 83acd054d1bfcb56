"""The runtime folder: all that one run of Triton sees, at a path that is safe for it.

Triton starts a backend process through a shell with the path unquoted, so a space makes a load hang for ever and worse
characters run as commands. It therefore never sees the user's own paths, only this folder:

    models/NAME             a link to the model's folder, for each model that it is asked to serve
    candidates/NAME/        model folders that are tried out
    nothing/                stands for a model's folder that is gone
    backends/NAME/          copies of our backends and of Triton's own (it refuses links that leave the folder)
    lib/libpython3.X.so.1.0 a link to the interpreter's library
    lock                    held by the supervisor and its guard; one that nobody holds belongs to a dead run

The folder's name is also the prefix of the run's shared memory in /dev/shm, so what a dead run left can be found.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from gateway.core.errors import SetupError

SAFE_PATH = re.compile(r"[A-Za-z0-9._/-]+")
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where POSIX shared memory lies on Linux
_PREFIX = "triton-gateway-"


def base_folder(env: Mapping[str, str]) -> Path:
    """The folder of all runs of this user, made if need be.

    `$XDG_RUNTIME_DIR/triton-gateway`, or `triton-gateway-UID` in the folder for temporary files where that is not
    set, not safe for Triton, or does not allow programs to run.

    Raises:
        SetupError: there is no such folder, or somebody else owns it.
    """
    candidates = [Path(env[key]) / "triton-gateway" for key in ("XDG_RUNTIME_DIR",) if env.get(key)]
    candidates += [Path(parent) / f"triton-gateway-{os.getuid()}" for parent in (tempfile.gettempdir(), "/var/tmp")]  # noqa: S108
    usable = [folder for folder in candidates if SAFE_PATH.fullmatch(str(folder)) and _runs_programs(folder.parent)]
    if not usable:
        raise SetupError(
            "Triton needs a writable folder that programs may be started from (not mounted noexec), at a path of "
            "letters, digits and ._/- only: set XDG_RUNTIME_DIR or TMPDIR to one"
        )
    base = usable[0]
    try:
        base.mkdir(mode=0o700, exist_ok=True)
        found = base.lstat()
    except OSError as error:
        raise SetupError(
            f"{base}: cannot be made: {error.strerror}; set XDG_RUNTIME_DIR to a writable folder"
        ) from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise SetupError(
            f"{base} is not a private folder of yours; remove it, or set XDG_RUNTIME_DIR to another folder"
        )
    return base


def _runs_programs(folder: Path) -> bool:
    try:
        return not os.statvfs(folder).f_flag & os.ST_NOEXEC and os.access(folder, os.W_OK | os.X_OK)
    except OSError:
        return False


class RuntimeFolder:
    """One run's folder and shared memory."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self.lock = lock  # file descriptor; the guard inherits it, so that the lock outlives a killed supervisor
        self.models = path / "models"
        self.candidates = path / "candidates"
        self._nothing = path / "nothing"
        self.backends = path / "backends"
        self.lib = path / "lib"
        self.shared_memory_prefix = f"{path.name}-"

    @classmethod
    def create(cls, base: Path) -> RuntimeFolder:
        """Make a fresh one in `base`, after removing what dead runs left there and in /dev/shm."""
        with _locked(base / ".lock"):
            for leftover in base.glob(f"{_PREFIX}*"):
                _remove_if_dead(leftover)
            path = base / f"{_PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
            path.mkdir(mode=0o700)
            lock = os.open(path / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX)
        runtime = cls(path, lock)
        for folder in (runtime.models, runtime.candidates, runtime._nothing, runtime.backends, runtime.lib):
            folder.mkdir()
        return runtime

    def install_backends(self, ours: Path, python_backend: Path, stub: Path) -> None:
        """Copy our backends, importable as the package `backends`, and Triton's `python` backend with `stub`."""
        shutil.copytree(ours, self.backends, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "tests"))
        python = self.backends / "python"
        shutil.copytree(python_backend, python, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy2(stub, python / stub.name)

    def expose(self, model: str, folder: Path) -> None:
        """Let Triton see a model; `model` must be a safe name."""
        link, target = self.models / model, folder.resolve()
        if link.is_symlink() and link.readlink() == target:
            return
        link.unlink(missing_ok=True)
        link.symlink_to(target, target_is_directory=True)

    def hide(self, model: str) -> None:
        """Take a model out of Triton's sight; it stays loaded until it is unloaded."""
        (self.models / model).unlink(missing_ok=True)

    def cover_gone(self) -> bool:
        """Let Triton see an empty folder where a model's own is gone; one link to nowhere spoils its whole index.

        Returns:
            Whether there was one.
        """
        gone = [link.name for link in self.models.iterdir() if not link.exists()]
        for model in gone:
            self.expose(model, self._nothing)
        return bool(gone)

    def remove(self) -> None:
        """Remove the folder and the run's shared memory. Nothing of the run may be running any more."""
        remove_shared_memory(self.shared_memory_prefix)
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self.lock)


def remove_shared_memory(prefix: str) -> None:
    """Remove every region whose name begins with `prefix`."""
    for region in SHARED_MEMORY.glob(f"{prefix}*"):
        region.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # held for milliseconds only
        yield


def _remove_if_dead(path: Path) -> None:
    try:
        with (path / "lock").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_shared_memory(f"{path.name}-")
            shutil.rmtree(path, ignore_errors=True)
    except BlockingIOError:
        return  # its run is alive
    except OSError:
        shutil.rmtree(path, ignore_errors=True)  # killed before it made its lock, which the lock on `base` excludes now

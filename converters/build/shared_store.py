"""Step results in an object store or a shared folder, so that what one machine made, the others need not.

The store only saves time: where it cannot be reached, a build goes on without it and says so once. Credentials come
from the environment, by the names that each provider gives them (`AWS_...`, `GOOGLE_...`, `AZURE_...`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from converters.errors import ConfigError, first_line

_LAST = "shared.json"
_RETRY = {"max_retries": 2, "retry_timeout": timedelta(seconds=20)}


class SharedStore:
    """A store of step results by key; each is there as a whole, or not at all."""

    def __init__(self, store: Any, warn: Callable[[str], None]) -> None:
        """Prepare.

        Args:
            store: an obstore store.
            warn: told in one line why the store is not used any more.
        """
        self._store: Any = store
        self._warn = warn

    def get(self, key: str, folder: Path) -> bool:
        """Fetch a result's files into an empty folder; False where there is none, or none that is whole."""
        listed = self._try(f"{key}/{_LAST}")
        if listed is None:
            return False
        for name, sha256 in json.loads(listed).items():
            data = self._try(f"{key}/{name}")
            if data is None or hashlib.sha256(data).hexdigest() != sha256:
                return False
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        return True

    def put(self, key: str, folder: Path, names: Sequence[str]) -> None:
        """Store a result's files; the list of them comes last, and only with it they count."""
        from obstore.exceptions import BaseError  # noqa: PLC0415 - only builds with a shared store need it

        try:
            digests = dict[str, str]()
            for name in names:
                if self._store is None:
                    return
                data = (folder / name).read_bytes()
                digests[name] = hashlib.sha256(data).hexdigest()
                self._store.put(f"{key}/{name}", data)
            self._store.put(f"{key}/{_LAST}", json.dumps(digests).encode())
        except (BaseError, OSError) as error:
            self._give_up(error)

    def _try(self, path: str) -> bytes | None:
        from obstore.exceptions import BaseError  # noqa: PLC0415 - only builds with a shared store need it

        if self._store is None:
            return None
        try:
            return bytes(self._store.get(path).bytes())
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            self._give_up(error)
            return None

    def _give_up(self, error: Exception) -> None:
        self._store = None
        self._warn(f"the shared cache is not used: {first_line(error)}")


def shared_store(place: str, base: Path, warn: Callable[[str], None]) -> SharedStore:
    """The store that a configuration names: a URL (s3://, gs://, az://, file://), or a folder relative to `base`.

    Raises:
        ConfigError: there is no such kind of store, or it lacks a setting.
    """
    from obstore.exceptions import BaseError  # noqa: PLC0415 - only builds with a shared store need it
    from obstore.store import LocalStore, from_url  # noqa: PLC0415

    try:
        if "://" in place:
            return SharedStore(from_url(place, retry_config=_RETRY), warn)
        return SharedStore(LocalStore(base / Path(place).expanduser(), mkdir=True), warn)
    except (BaseError, OSError, ValueError) as error:
        raise ConfigError(
            f"cache: {place} cannot be used ({first_line(error)})",
            hint="give a folder, or s3://, gs:// or az://BUCKET/PREFIX",
        ) from None

"""What a model's folder in the repository holds already: its versions, and whether they are of the same kind."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from converters.engines import record
from converters.engines.record import EngineRecord
from converters.errors import ConfigError, ConversionError
from converters.graph.files import digest_of_file
from converters.publish.config_pbtxt import is_ours
from converters.publish.source_config import CONFIG

RECORD = ".triton-gateway.json"
RETIRED = ".retired"
SETTINGS = ".settings"
_SCHEMA = 1  # of the gateway's record
_NUMBER = re.compile(r"[1-9][0-9]*")
_AWAY = "publish under another name (`name` of the target), or remove that model first"


@dataclass(frozen=True, slots=True)
class Existing:
    """A model's folder, which may not be there.

    Attributes:
        folder: it.
        kept: the versions that Triton sees, ascending; the last one is served.
        retired: those that the gateway has set aside, ascending.
    """

    folder: Path
    kept: tuple[int, ...]
    retired: tuple[int, ...]

    @classmethod
    def at(cls, folder: Path) -> Existing:
        """What is there now."""
        return cls(folder, _versions(folder), _versions(folder / RETIRED))

    @property
    def is_there(self) -> bool:
        """Whether there is anything that must not be lost."""
        return self.folder.is_dir() and any(self.folder.iterdir())

    @property
    def next_version(self) -> int:
        """A number that no version has or ever had, as far as that is known."""
        last = int(self._gateway_record().get("last_version", 0))
        return max((0, last, *self.kept, *self.retired)) + 1

    def holding(self, digests: Mapping[str, str]) -> int | None:
        """The served version, or else one that was set aside, if it has just these files.

        An older one that is not served does not count: to publish it again is the way to go back to it.
        """
        places = {number: self.folder / str(number) for number in self.kept[-1:]}
        places |= {number: self.folder / RETIRED / str(number) for number in self.retired}
        return next((number for number, place in places.items() if _holds(place, digests)), None)

    def check(self, records: tuple[EngineRecord, ...]) -> None:
        """Refuse to put a model of another kind over the one that is there.

        Args:
            records: of what is to be published.

        Raises:
            ConfigError: something else has the name, or a person changed the configuration.
        """
        if not self.is_there:
            return
        name, ours = self.folder.name, _kinds(records)
        newest = max((*self.kept, *self.retired), default=0)
        place = self.folder / str(newest) if newest in self.kept else self.folder / RETIRED / str(newest)
        theirs = _kinds(record.read(place))
        if not theirs:
            raise ConfigError(f"{self.folder} is there already and was not made by triton-convert", hint=_AWAY)
        if theirs != ours:
            raise ConfigError(f"{name} is made from {' and '.join(theirs)}, and not {' and '.join(ours)}", hint=_AWAY)
        config = self.folder / CONFIG
        if config.is_file() and not is_ours(config.read_text("utf-8", "replace")):
            raise ConfigError(
                f"{config} was changed by hand, and would be replaced",
                hint="put what shall differ into the configuration of the model that it is made from, which its "
                "conversions keep, and delete this one",
            )

    def record_with(self, version: int) -> bytes | None:
        """The gateway's record with one more version; None where the gateway needs none.

        What it published itself it holds against the record, and would take a version that is not in it as tampering.
        A version without a source in it is one that was found in place, whose files it records by itself.

        Raises:
            ConversionError: the record is of a newer gateway.
        """
        found = self._gateway_record()
        if not found:
            return None
        if found.get("schema") != _SCHEMA:
            raise ConversionError(
                f"{self.folder / RECORD} was written by a newer triton-gateway", hint="update triton-convert"
            )
        now = datetime.now(UTC).isoformat(timespec="seconds")
        versions = {**found["versions"], str(version): {"version": version, "state": "kept", "published_at": now}}
        return json.dumps({**found, "versions": versions, "last_version": version}, indent=1).encode() + b"\n"

    def _gateway_record(self) -> dict[str, Any]:
        try:
            found = json.loads((self.folder / RECORD).read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError:
            found = None
        if not isinstance(found, dict) or not isinstance(found.get("versions"), dict):
            raise ConversionError(
                f"{self.folder / RECORD} is not a model's record",
                hint="delete it: the gateway takes the folder's versions as they are, and writes a new one",
            )
        return found


def _kinds(records: tuple[EngineRecord, ...]) -> list[str]:
    return sorted({f"{each.source.name} as {each.format}" for each in records})


def _versions(folder: Path) -> tuple[int, ...]:
    if not folder.is_dir():
        return ()
    return tuple(sorted(int(each.name) for each in folder.iterdir() if _NUMBER.fullmatch(each.name) and each.is_dir()))


def _holds(place: Path, digests: Mapping[str, str]) -> bool:
    names = {path.name for path in place.iterdir()} - {record.FILE_NAME, "__pycache__"}
    return names == digests.keys() and all(digest_of_file(place / name) == digest for name, digest in digests.items())

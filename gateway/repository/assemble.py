"""Put a model's folder together, beside its place: files that stay are hard links, so that it costs no time or room.

Triton tells changes by the later of a file's two times, of its content and of its inode. A new link changes the second,
so a load that is asked for after any change is carried out, beside the loaded version.
"""

from __future__ import annotations

import filecmp
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from atomic.exchange import sync
from atomic.link import link
from gateway.core.errors import ModelRefused
from gateway.repository.record import FILE_NAME, RETIRED, ModelRecord, encode, is_version

SETTINGS = ".settings"
_OWN = frozenset({FILE_NAME, f"{FILE_NAME}.new", RETIRED, SETTINGS})
_EDITED_BYTES = 1 << 20

_TOKEN = re.compile(r"""#[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[{\[<]|[}\]>]|name\s*:|\w+""")


@dataclass(frozen=True, slots=True)
class Change:
    """From what to what a model changes.

    Attributes:
        folder: the model's folder.
        before: its record; None if nothing of the folder is to be taken over.
        after: its record when the change is done.
        added: the folder of each version that is new.
        settings: the folder whose configuration and label files come with the change; None for those of the version
            that is served after it.
    """

    folder: Path
    before: ModelRecord | None
    after: ModelRecord
    added: Mapping[int, Path] = field(default_factory=dict)
    settings: Path | None = None

    @property
    def served_before(self) -> int | None:
        """The version that was served."""
        return self.before.served if self.before else None

    def folder_before(self, number: int) -> Path:
        """Where the files of a version are that is not new."""
        if self.before is None:
            raise KeyError(number)
        return self.folder / self.before.versions[number].place


def assemble(change: Change, target: Path) -> None:
    """Make the model's new folder, complete and on the disk.

    Each version that is not served keeps the configuration that it was served with in `.settings/N`.

    Args:
        change: what it consists of.
        target: the folder to be made.

    Raises:
        OSError: it cannot be written.
    """
    target.mkdir()
    for number, version in change.after.versions.items():
        source = change.added[number] if number in change.added else change.folder_before(number)
        (target / version.place).parent.mkdir(exist_ok=True)
        link(source, target / version.place)
    _put_settings(change, target)
    _save_settings(change, target / SETTINGS)
    (target / FILE_NAME).write_bytes(encode(change.after))
    for file in (target / FILE_NAME, *settings_in(target).values(), *(target / SETTINGS).rglob("*")):
        if file.is_file():
            sync(file)
    for path, _, _ in os.walk(target):
        sync(Path(path))


def take_in(source: Path, target: Path) -> None:
    """Link the files of a new version, and have them reach the disk.

    They get the time of now: one in the future would hide later changes from Triton.

    Raises:
        ModelRefused: there is something else than files and folders.
        OSError: they cannot be read or written.
    """
    for path in source.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ModelRefused(
                f"{path.relative_to(source)}: a model consists of files and folders only; put the file itself there"
            )
    link(source, target)
    for path in (target, *target.rglob("*")):
        os.utime(path)
        sync(path)


def named(config: str, name: str) -> str:
    """The text of a `config.pbtxt` with another name for the model, if it gives one."""
    depth, start = 0, None
    for token in _TOKEN.finditer(config):
        text = token[0]
        if start is not None and text[0] in "\"'":
            return f'{config[:start]} "{name}"{config[token.end() :]}'
        depth += (text in "{[<") - (text in "}]>")
        if depth == 0 and text.startswith("name") and text.endswith(":"):
            start = token.end()
    return config


def settings_in(folder: Path) -> dict[str, Path]:
    """What lies in a model's folder beside its versions and what is the gateway's own, by name."""
    if not folder.is_dir():
        return {}
    return {path.name: path for path in folder.iterdir() if path.name not in _OWN and not is_version(path.name)}


def _put_settings(change: Change, target: Path) -> None:
    present = settings_in(change.folder) if change.before else {}
    source = change.settings
    if source is None and change.served_before != change.after.served:
        source = change.folder / SETTINGS / str(change.after.served)
    coming = settings_in(source) if source else {}
    for name, path in (present | coming).items():
        same = name in present and name in coming and _is_same(present[name], coming[name])
        link(present[name] if same else path, target / name)


def _save_settings(change: Change, target: Path) -> None:
    for number in sorted(change.after.versions.keys() - {change.after.served}):
        source = change.folder if number == change.served_before else change.folder / SETTINGS / str(number)
        for name, path in settings_in(source).items():
            (target / str(number)).mkdir(parents=True, exist_ok=True)
            # People edit these in place: a link would change with the one that is served.
            small = path.is_file() and path.stat().st_size <= _EDITED_BYTES
            (shutil.copy2 if small else link)(path, target / str(number) / name)


def _is_same(one: Path, other: Path) -> bool:
    return one.is_file() and other.is_file() and filecmp.cmp(one, other, shallow=False)

"""Archives and folders from strangers: unpacked, and looked through, without trusting anything that they say.

What comes out of `unpack` lies inside its folder, links included, and is no larger than the limits allow, whatever the
archive claims. `check_tree` holds a folder that somebody dropped to the same rules, and refuses pickles.
"""

from __future__ import annotations

import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from gateway.core.errors import ModelRefused

_HARMLESS_BYTES = 16 << 20
"""What unpacks to no more than this is no bomb, however well it is packed: fresh weights may all be zero."""

_CHUNK = 1 << 20
_LONGEST_TARGET = 4096
_ENCRYPTED = 0x1

_PICKLE_SUFFIXES = frozenset({".pkl", ".pickle", ".joblib", ".dill", ".cloudpickle"})
_PICKLE_HEADERS = frozenset(bytes((0x80, protocol)) for protocol in range(2, 6))
_PICKLE_STOP = b"."
_TORCH_BEFORE_1_6 = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""How a checkpoint of `torch.save` begins that is no zip file: a pickle of a magic number."""


def unpack(archive: Path, folder: Path, *, max_bytes: int, max_files: int, max_ratio: int = 200) -> None:
    """Unpack a zip or tar file (plain, gzip, bzip2 or xz).

    Args:
        archive: the file.
        folder: where its content goes; exists and is empty. After a refusal it may hold a part.
        max_bytes: of all unpacked files together.
        max_files: files, folders and links together.
        max_ratio: how many times larger than the archive its content may be.

    Raises:
        ModelRefused: it is damaged, encrypted, too large, or holds what could reach outside of the folder.
    """
    with _damage_refused(archive):
        allowed = _Allowance(
            archive.name, max_files, min(max_bytes, max(_HARMLESS_BYTES, archive.stat().st_size * max_ratio))
        )
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped:
                _extract(_zip_entries(zipped, archive.name), folder, allowed)
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as tarred:
                _extract(_tar_entries(tarred, archive.name), folder, allowed)
        else:
            raise ModelRefused(f"'{archive.name}' is neither a zip nor a tar file, or it is cut short; copy it again")


def check_tree(folder: Path) -> None:
    """Look through a dropped folder.

    Raises:
        ModelRefused: a link leaves the folder or leads nowhere, there is something that is no file, or a pickle.
    """
    check_links(folder)
    for path in _walk(folder):
        if path.is_file() and (what := _pickle(path, _shown(path, folder))):
            raise ModelRefused(
                f"'{_shown(path, folder)}' is {what}, and a pickle runs whatever code is in it when it is opened. Save "
                "the model in a format that holds data only: model.save('m.keras') for Keras, torch.jit.save or "
                "torch.export.save for PyTorch, skops.io.dump for scikit-learn, save_model('m.ubj') for XGBoost, "
                "save_model('m.txt') for LightGBM; delete the pickle if the model doesn't need it"
            )


def check_links(folder: Path) -> None:
    """The part of `check_tree` that keeps readers of the folder inside of it.

    Raises:
        ModelRefused: a link leaves the folder or leads nowhere, or there is something that is no file.
    """
    root = folder.resolve()
    for path in _walk(folder):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            _check_link(path, root, _shown(path, folder))
        elif not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise ModelRefused(f"'{_shown(path, folder)}' is neither a file nor a folder; take it out")


def _check_link(path: Path, root: Path, shown: str) -> None:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):
        raise ModelRefused(f"'{shown}' is a link that leads nowhere; put the file itself in its place") from None
    if not target.is_relative_to(root):
        raise ModelRefused(f"'{shown}' is a link that leaves the folder; put the file itself in its place")


def _walk(folder: Path) -> Iterator[Path]:
    """Everything below the folder; links to folders are not followed."""

    def unreadable(error: OSError) -> None:
        raise ModelRefused(f"'{_shown(Path(error.filename), folder)}' cannot be read ({error.strerror}); allow it")

    for parent, folders, files in os.walk(folder, onerror=unreadable):
        for name in (*folders, *files):
            yield Path(parent, name)


def _shown(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _pickle(path: Path, shown: str) -> str | None:
    """What kind of pickle the file is, if it is one."""
    if path.suffix.lower() in _PICKLE_SUFFIXES:
        return "a pickle"
    try:
        with path.open("rb") as file:
            head = file.read(len(_TORCH_BEFORE_1_6))
            if head == _TORCH_BEFORE_1_6:
                return "a checkpoint of torch.save, which is a pickle"
            if head[:2] not in _PICKLE_HEADERS:
                return None
            file.seek(-1, os.SEEK_END)
            return "a pickle" if file.read(1) == _PICKLE_STOP else None
    except OSError as error:
        raise ModelRefused(f"'{shown}' cannot be read ({error.strerror}); allow it") from None


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry of an archive: a folder, a link to `target`, or else a file of `content`."""

    name: str
    size: int = 0
    folder: bool = False
    target: str | None = None
    content: IO[bytes] | None = None


@dataclass(slots=True)
class _Allowance:
    """What an archive may still unpack to; counted on what is written, since headers may lie."""

    archive: str
    files: int
    bytes: int

    def take_file(self) -> None:
        self.files -= 1
        if self.files < 0:
            raise ModelRefused(f"'{self.archive}' holds too many files; pack only what the model needs")

    def take_bytes(self, count: int) -> None:
        self.bytes -= count
        if self.bytes < 0:
            raise ModelRefused(
                f"'{self.archive}' unpacks to more than is allowed for its size; pack only what the model needs, or "
                "unpack it yourself and drop the folder"
            )


@dataclass(slots=True)
class _Names:
    """The names of an archive so far, none of which may stand for two things."""

    archive: str
    folders: set[PurePosixPath] = field(default_factory=set)
    leaves: set[PurePosixPath] = field(default_factory=set)

    def add(self, entry: _Entry) -> PurePosixPath:
        """The checked path of the entry, relative to where it is unpacked."""
        path = _safe_path(entry.name, self.archive)
        parents = set(path.parents)
        if path in self.leaves or (path in self.folders and not entry.folder) or parents & self.leaves:
            raise ModelRefused(f"'{self.archive}' holds '{path}' twice; pack it again")
        self.folders |= parents
        (self.folders if entry.folder else self.leaves).add(path)
        return path


def _safe_path(name: str, archive: str) -> PurePosixPath:
    path = PurePosixPath(name)
    drive = len(name) > 1 and name[1] == ":" and name[0].isascii() and name[0].isalpha()
    if path.is_absolute() or ".." in path.parts or "\\" in name or drive or not name.isprintable():
        raise ModelRefused(
            f"'{archive}' holds {name!r}, which could end up outside of its folder; pack it again with plain relative "
            "paths"
        )
    return path


def _extract(entries: Iterator[_Entry], folder: Path, allowed: _Allowance) -> None:
    names = _Names(allowed.archive)
    links: dict[PurePosixPath, str] = {}
    for entry in entries:
        allowed.take_file()
        relative = names.add(entry)
        path = folder / relative
        if entry.folder:
            path.mkdir(parents=True, exist_ok=True)
        elif entry.target is not None:
            links[relative] = _safe_target(relative, entry.target, allowed.archive)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(entry, path, allowed)
    for relative, target in links.items():  # last, so that nothing is ever written through a link
        (folder / relative).parent.mkdir(parents=True, exist_ok=True)
        (folder / relative).symlink_to(target)
    check_links(folder)


def _safe_target(link: PurePosixPath, target: str, archive: str) -> str:
    """The link's target: `..` only in front, where no other link can stand, and no more than the link is deep."""
    parts = PurePosixPath(target).parts
    up = next((index for index, part in enumerate(parts) if part != ".."), len(parts))
    if not target or target.startswith("/") or "\\" in target or ".." in parts[up:] or up >= len(link.parts):
        raise ModelRefused(f"'{archive}' holds '{link}', a link that leaves its folder; pack the file itself instead")
    return target


def _write(entry: _Entry, path: Path, allowed: _Allowance) -> None:
    allowed.take_bytes(entry.size)
    with path.open("xb") as out:
        left = entry.size
        while entry.content and (chunk := entry.content.read(_CHUNK)):
            if len(chunk) > left:
                allowed.take_bytes(len(chunk) - left)
            left = max(0, left - len(chunk))
            out.write(chunk)


def _zip_entries(archive: zipfile.ZipFile, name: str) -> Iterator[_Entry]:
    for info in archive.infolist():
        if info.flag_bits & _ENCRYPTED:
            raise ModelRefused(f"'{name}' is encrypted; pack it again without a password")
        mode = info.external_attr >> 16
        # Other systems than Unix leave the kind of file out.
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
            raise ModelRefused(f"'{name}' holds '{info.filename}', which is neither a file nor a folder; leave it out")
        if info.orig_filename != info.filename:  # cut off at a zero byte
            raise ModelRefused(f"'{name}' holds a file with a broken name; pack it again")
        if info.is_dir():
            yield _Entry(info.filename, folder=True)
        elif stat.S_ISLNK(mode):
            with archive.open(info) as content:
                yield _Entry(info.filename, target=os.fsdecode(content.read(_LONGEST_TARGET)))
        else:
            with archive.open(info) as content:
                yield _Entry(info.filename, info.file_size, content=content)


def _tar_entries(archive: tarfile.TarFile, name: str) -> Iterator[_Entry]:
    for member in archive:
        if member.isdir():
            yield _Entry(member.name, folder=True)
        elif member.issym():
            yield _Entry(member.name, target=member.linkname)
        elif member.isfile() or member.islnk():  # what a hard link names is in the archive, and is copied
            content = archive.extractfile(member)
            yield _Entry(member.name, member.size, content=content)
        else:
            raise ModelRefused(f"'{name}' holds '{member.name}', which is neither a file nor a folder; leave it out")


@contextmanager
def _damage_refused(archive: Path) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, KeyError) as error:
        raise ModelRefused(f"'{archive.name}' is cut short or damaged ({error}); copy it again") from None
    except (NotImplementedError, RuntimeError) as error:
        raise ModelRefused(f"'{archive.name}' is packed in a way that is not known here ({error})") from None
    except OSError as error:
        raise ModelRefused(f"'{archive.name}' cannot be unpacked ({error.strerror or error})") from None

"""What the listing of an object store says: which models are in it, and of which objects each consists.

Pure: it gets what was listed, and says what it means.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.repository.scan import SAFE_NAME

SIDECARS = (".yaml", ".npz")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells one state of an object from another.

    Attributes:
        tag: the store's entity tag, or the time of the last change where it has none.
        size: in bytes.
        exact: whether the tag is an entity tag.
    """

    tag: str
    size: int
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing at the top level of the store: a folder, or the files whose names are the same up to the first dot.

    Attributes:
        name: of the folder, or what the files' names have in common.
        is_folder: which of the two.
        objects: each object by its path.
    """

    name: str
    is_folder: bool
    objects: Mapping[str, Fingerprint] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """What it consists of at the top level."""
        return (self.name,) if self.is_folder else self.files

    @property
    def files(self) -> tuple[str, ...]:
        """The paths, the model itself after its sidecars: when it is there, they are too."""
        return tuple(sorted(self.objects, key=lambda path: (not path.endswith(SIDECARS), path)))


def fingerprint(item: Mapping[str, Any]) -> Fingerprint:
    """Of an object as obstore lists it."""
    tag = item.get("e_tag")
    return Fingerprint(tag or item["last_modified"].isoformat(), item["size"], bool(tag))


def group(listed: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Entry], dict[str, str]]:
    """Find the entries.

    Args:
        listed: objects as obstore lists them: `path`, `size`, `e_tag`, `last_modified`.

    Returns:
        The entries by their key, and for each entry that cannot be taken the reason.
    """
    objects = {item["path"]: fingerprint(item) for item in listed}
    folders = {"/".join(parts[:end]) for path in objects if (parts := path.split("/")) for end in range(1, len(parts))}
    found: dict[str, dict[str, Fingerprint]] = {}
    refused: dict[str, str] = {}
    for path in sorted(objects):
        top, slash, _ = path.partition("/")
        # What the web consoles of the stores write for an empty folder is an empty object of its name.
        is_folder_mark = objects[path].size == 0 and (path in folders or (not slash and "." not in top))
        if top.startswith(".") or is_folder_mark:
            continue
        key = f"{top}/" if slash else top.partition(".")[0]
        if reason := _why_not(path, folders):
            refused.setdefault(key, reason)
        found.setdefault(key, {})[path] = objects[path]
    taken = {key: Entry(key.removesuffix("/"), key.endswith("/"), found[key]) for key in found if key not in refused}
    return taken, refused


def _why_not(path: str, folders: set[str]) -> str | None:
    top, *below = path.split("/")
    if not SAFE_NAME.fullmatch(top):
        return (
            f"{path!r}: {top!r} cannot be a model's name; rename it to letters, digits, '.', '_' and '-', the first a "
            "letter or a digit, up to 128"
        )
    if any(part in ("", ".", "..") or "\\" in part or "\0" in part or len(part.encode()) > 255 for part in below):
        return f"{path!r}: cannot be the path of a file; rename the object"
    if path in folders:
        return f"{path!r}: is an object, and a folder too; rename one of the two"
    return None

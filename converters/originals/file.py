"""What all originals that are one file or folder have in common: where it lies, and how it is told from others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from converters.graph.files import digest_of_path


@dataclass(frozen=True, slots=True)
class FileOriginal:
    """A model's file or folder.

    Attributes:
        path: of it.
    """

    path: Path

    @property
    def name(self) -> str:
        """The model's folder in its repository; outside of one, the file's name."""
        return place_of(self.path)[0]

    @property
    def version(self) -> int | None:
        """In its repository; None outside of one."""
        return place_of(self.path)[1]

    @property
    def digest(self) -> str:
        """SHA-256 in lower-case hex over the file, or over all files of the folder."""
        return digest_of_path(self.path)


def place_of(path: Path) -> tuple[str, int | None]:
    """Name and version of a model, from where its file lies: `<name>/<version>/model.<ending>`, or anywhere else."""
    parent = path.resolve().parent
    if path.name.startswith("model.") and parent.name.isdigit():
        return parent.parent.name, int(parent.name)
    return path.name, None

"""The model's file in its version folder."""

from pathlib import Path

from backends.common.errors import LoadError


def model_path(folder: Path, filename: str, *, directory: bool = False) -> Path:
    """The path of `default_model_filename` in the version folder.

    Raises:
        LoadError: it is missing, of the wrong kind, or an empty file; names what the folder holds instead.
    """
    path = folder / filename
    if path.is_dir() if directory else path.is_file():
        if not directory and path.stat().st_size == 0:
            raise LoadError(f"the file '{path.name}' in version {folder.name} is empty; copy the model again")
        return path
    what = "folder" if directory else "file"
    if path.exists():
        raise LoadError(f"'{filename}' in version {folder.name} must be a {what}")
    found = ", ".join(sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith(".")))
    raise LoadError(
        f"the {what} '{filename}' is missing in version {folder.name}, which holds {found or 'nothing'}; "
        "rename it, or set 'default_model_filename' in config.pbtxt"
    )

"""Which of PyTorch's file formats a model's file is, told from the names inside, without PyTorch."""

import zipfile
from pathlib import Path
from typing import Literal

from backends.common.errors import LoadError

Kind = Literal["torchscript", "exported"]


def archive_kind(path: Path) -> Kind:
    """Whether the file is TorchScript (`torch.jit.save`) or an exported program (`torch.export.save`).

    Raises:
        LoadError: it is neither; says what it is instead, as far as can be told.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            # Every name stands in a folder that is named after the file.
            names = {name.partition("/")[2] for name in archive.namelist()}
    except (zipfile.BadZipFile, OSError):
        raise LoadError(
            f"'{path.name}' is neither TorchScript nor an exported program, or it is cut short: "
            "save it with torch.jit.save or torch.export.save, and copy it again"
        ) from None
    if any(name.startswith("data/aotinductor/") for name in names):
        raise LoadError(
            f"'{path.name}' is a package compiled by AOTInductor, which is not supported here: "
            "save the program with torch.export.save instead"
        )
    if "constants.pkl" in names and any(name.startswith("code/") for name in names):
        return "torchscript"
    if any(name.startswith("models/") or name == "serialized_exported_program.json" for name in names):
        return "exported"
    raise LoadError(
        f"'{path.name}' is a checkpoint of torch.save, which holds no program: "
        "save the model with torch.jit.save or torch.export.save"
    )

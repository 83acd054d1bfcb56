"""The manifest of a repository: which files are taken from which wheels, and what they must be.

`model_repository/manifest.yaml` is committed, the files that it names are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from gateway.config import Framework
from gateway.core.errors import SetupError

FILE_NAME = "manifest.yaml"


def _stays_below(path: str) -> str:
    if any(part in ("", ".", "..") for part in path.split("/")):
        raise ValueError(f"{path!r} must be a plain relative path")
    return path


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
RelativePath = Annotated[str, AfterValidator(_stays_below)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WheelEntry(_Entry):
    """A wheel: its exact version and its sha256."""

    version: str
    sha256: Sha256
    licence: str = Field(description="SPDX identifier.")
    platform: str | None = Field(
        None, description="pip's platform tag, where the wheel is for one platform but its models are for all."
    )


class FileEntry(_Entry):
    """A file in a wheel."""

    source: RelativePath = Field(description="Its path in the wheel.")
    sha256: Sha256


class BuildEntry(_Entry):
    """How the file that is served is made from those that were fetched."""

    script: Name = Field(description="A Python file in the model's folder, called with FOLDER and OUTPUT.")
    output: Name = Field(description="The file that it writes, in the model's version folder.")


class ModelEntry(_Entry):
    """A model; `files` are relative to its version folder."""

    framework: Framework
    wheel: str
    files: dict[RelativePath, FileEntry] = Field(min_length=1)
    build: BuildEntry | None = None


class InputEntry(_Entry):
    """Real input for the examples; `files` are relative to its own folder."""

    model: str = Field(alias="for", description="The model that it is for; fetched when that model is.")
    wheel: str
    files: dict[RelativePath, FileEntry] = Field(min_length=1)


class SourceEntry(_Entry):
    """A model that is not served as it is, but converted; `files` are relative to its own folder."""

    wheel: str
    files: dict[RelativePath, FileEntry] = Field(min_length=1)


class Manifest(_Entry):
    """Everything that is fetched."""

    wheels: dict[Name, WheelEntry]
    models: dict[Name, ModelEntry]
    inputs: dict[Name, InputEntry] = Field(default_factory=dict)
    sources: dict[Name, SourceEntry] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_are_known(self) -> Manifest:
        seen: set[str] = set()
        sections: tuple[Mapping[str, ModelEntry | InputEntry | SourceEntry], ...]
        sections = (self.models, self.inputs, self.sources)
        for section in sections:
            for name, entry in section.items():
                if entry.wheel not in self.wheels:
                    raise ValueError(f"{name}: there is no wheel {entry.wheel!r} in `wheels`")
            if twice := seen & section.keys():
                raise ValueError(f"{min(twice)}: another entry has this name already; what was fetched is known by it")
            seen |= section.keys()
        for name, given in self.inputs.items():
            if given.model not in self.models:
                raise ValueError(f"{name}: there is no model {given.model!r} in `models`")
        return self


def read_manifest(repository: Path) -> Manifest | None:
    """Read `manifest.yaml`; None if the repository has none.

    Raises:
        SetupError: it cannot be read, or is not a manifest; the message names the file and the entry.
    """
    path = repository / FILE_NAME
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Manifest.model_validate(content)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{path}: cannot be read: {error}") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SetupError(f"{path}:{line}: this is not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise SetupError(f"{path}: this is not YAML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise SetupError(f"{path}: {place}: {message}" if place else f"{path}: {message}") from None

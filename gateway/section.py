"""What every part of the configuration is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

UserPath = Annotated[Path, AfterValidator(Path.expanduser)]
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
Pause = Annotated[float, Field(ge=0)]
Bytes = Annotated[int, Field(gt=0, le=2**31 - 1)]
Count = Annotated[int, Field(ge=1)]
Percent = Annotated[int, Field(ge=0, le=100)]
Share = Annotated[float, Field(ge=0, le=100)]
"""A percentage that may have a fraction."""


class Section(BaseModel):
    """A part of the configuration: immutable, and closed against keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)

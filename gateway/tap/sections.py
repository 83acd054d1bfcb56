"""The section `recording` of the configuration."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from gateway.section import Count, Seconds, Section

_STORES = ("s3://", "gs://", "az://", "memory://")


class RedactSection(Section):
    """What must not be in a recording; names are patterns of the shell's. Headers are never in it."""

    inputs: tuple[str, ...] = Field((), description="Inputs whose values become zeros, or empty texts.")
    outputs: tuple[str, ...] = Field((), description="The same of outputs.")
    parameters: tuple[str, ...] = Field(("*",), description="Request parameters that are left out.")
    request_id: bool = Field(True, description="Whether the requests' ids are left out.")
    tenant: bool = Field(True, description="Whether the tenants are left out.")


class RecordingSection(Section):
    """Requests that are kept with their answers, to replay them or to calibrate INT8 models with."""

    folder: str | None = Field(
        None,
        description="Where they are kept, below it a folder for each model: a folder that only the gateway's own user "
        "can read, or an object store as s3://BUCKET/PREFIX, gs://... or az://...; without it nothing is recorded.",
    )
    models: tuple[str, ...] = Field((), description="Names of the models whose requests are kept; default: all.")
    every: Count = Field(100, description="One of so many inferences is kept, by chance.")
    answers: bool = Field(True, description="Whether the answers are kept too, for a replay to compare with.")
    most_requests: Count = Field(10000, description="Most requests of a model that are kept; the oldest go first.")
    most_mib: Count = Field(1024, description="Most MiB that the requests of a model take; the oldest go first.")
    segment_mib: Count = Field(16, description="MiB of tensors after which a file is written.")
    segment_seconds: Seconds = Field(10.0, description="Seconds after which a file is written, however small.")
    redact: RedactSection = Field(default_factory=RedactSection, description="What must not be in it.")

    @field_validator("folder")
    @classmethod
    def _expanded(cls, value: str | None) -> str | None:
        if value is None or value.startswith(_STORES):
            return value
        if "://" in value:
            raise ValueError(f"{value!r} is no folder, and no object store as s3://, gs:// or az://")
        return str(Path(value).expanduser())

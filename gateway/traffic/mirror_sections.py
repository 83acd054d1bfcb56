"""The part of a route's configuration that says who gets copies of its requests, and what is done with the answers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gateway.section import Count, Pause, Seconds, Section, Share

Cosine = Annotated[float, Field(ge=-1, le=1)]


class CompareSection(Section):
    """When two answers agree."""

    by: Literal["max_error", "cosine", "top1", "function"] = Field(
        "max_error", description="What decides: the largest error, cosine similarity, the top class, or a function."
    )
    absolute: Pause = Field(1e-3, description="max_error: error that is allowed in any case.")
    relative: Pause = Field(1e-3, description="max_error: error that is allowed as a share of the expected value.")
    cosine: Cosine = Field(0.999, description="cosine: least similarity.")
    function: str = Field(
        "",
        description="function: FILE.py:NAME of yours; it gets both answers as {output: array} and says whether they "
        "agree, or how much by a number from 0 to 1.",
    )
    least: Share = Field(99.0, description="function: least percent of agreement when it gives a number.")
    ignore: tuple[str, ...] = Field((), description="Outputs that are not compared.")
    keep: Annotated[int, Field(ge=0)] = Field(50, description="Most differing requests that are kept for replay.")


class MirrorSection(Section):
    """A model that gets copies of requests; clients never wait for it, and never hear of it."""

    name: str = Field("", description="What it is called in reports; default: MODEL or MODEL-VERSION.")
    model: str = Field(description="The model's name in the repository.", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")
    version: Count | None = Field(None, description="Its version; default: the one that is served.")
    upstreams: str = Field("", description="Name of the upstream, or of the group of upstreams, that is asked.")
    percent: Share = Field(100.0, description="Percent of the route's requests that are copied.")
    timeout_seconds: Seconds = Field(2.0, description="How long a copy may take; never longer than its request may.")
    most_in_flight: Count = Field(16, description="Most copies that one worker has under way; those above are dropped.")
    most_mib: Count = Field(64, description="Most MiB of copies that one worker holds; those above are dropped.")
    drop_above: Count = Field(
        64, description="Requests that one worker has under way above which nothing is copied: clients go first."
    )
    compare: CompareSection | None = Field(None, description="Compares the answers; without it they are only counted.")

    @property
    def label(self) -> str:
        """What it is called."""
        return self.name or (self.model if self.version is None else f"{self.model}-{self.version}")

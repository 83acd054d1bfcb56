"""What every engine builder takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import onnx

from converters.graph.signature import Signature


@dataclass(frozen=True, slots=True)
class Range:
    """The shapes of one input that a profile allows, the batch included; `opt` is the one it is tuned for."""

    min: tuple[int, ...]
    opt: tuple[int, ...]
    max: tuple[int, ...]


Profile = Mapping[str, Range]
"""An optimization profile: a range for each input that has a dynamic dimension."""


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How an engine is built.

    Attributes:
        profiles: optimization profiles; needed if any input has a dynamic dimension.
        compute_capabilities: targets such as 75, 86, 120 (`sm_75`, ...); empty means the GPU of this machine.
        workspace_mib: the most device memory a layer may use while it runs; None leaves it to the builder.
        optimization_level: 0 (builds fast) to 5 (runs fast); None is the builder's default.
        version_compatible: the engine runs on later versions of TensorRT too.
        hardware_compatible: "none", "ampere_plus" or "same_compute_capability".
        strip_weights: leave the weights out; the engine is refitted with them from the ONNX where it is loaded.
        timing_cache: a file that is read and extended; None for none.
        tf32: let FP32 layers use TF32 on GPUs that have it.
    """

    profiles: tuple[Profile, ...] = ()
    compute_capabilities: tuple[int, ...] = ()
    workspace_mib: int | None = None
    optimization_level: int | None = None
    version_compatible: bool = False
    hardware_compatible: Literal["none", "ampere_plus", "same_compute_capability"] = "none"
    strip_weights: bool = False
    timing_cache: Path | None = None
    tf32: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """A serialized engine.

    Attributes:
        data: the bytes of `model.plan`.
        builder: "tensorrt" or "tensorrt_rtx".
        version: of the builder, all its parts.
        compute_capabilities: what it runs on.
        signature: inputs and outputs as the network has them.
        profiles: as built.
        seconds: that building took.
        warnings: what the builder warned of, each once.
    """

    data: bytes = field(repr=False)
    builder: str
    version: str
    compute_capabilities: tuple[int, ...]
    signature: Signature
    profiles: tuple[Profile, ...]
    seconds: float
    warnings: tuple[str, ...] = ()


class Progress(Protocol):
    """Told what a long step does; `converters/progress.py` shows it."""

    def stage(self, name: str, total: int | None = None) -> None:
        """A stage begins, with so many steps if that is known."""

    def step(self, done: int) -> None:
        """So many steps of the stage are done."""


class Builder(Protocol):
    """Builds engines."""

    @property
    def name(self) -> str:
        """As configurations say it: "tensorrt" or "tensorrt_rtx"."""

    @property
    def version(self) -> str:
        """Of the library; engines are bound to it.

        Raises:
            ToolMissing: it is not installed; says how to get it.
        """

    def targets(self) -> tuple[int, ...]:
        """The compute capabilities that it can build for on this machine.

        Raises:
            ToolMissing: it is not installed, or needs a GPU and there is none.
        """

    def build(self, model: onnx.ModelProto, options: BuildOptions, progress: Progress) -> Plan:
        """Build one engine for all targets of the options. Ctrl-C (KeyboardInterrupt) ends it at the next step.

        Raises:
            ToolMissing: the library or the GPU is not there.
            Unsupported: the parser refused nodes (each named), a profile is missing or wrong, or a target is unknown.
            OutOfResources: the builder had no memory left.
        """

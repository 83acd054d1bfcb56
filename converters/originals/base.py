"""What every kind of model that can be converted offers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import onnx

from converters.arrays import Feeds
from converters.verify.base import Runner


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """How a model becomes ONNX.

    Attributes:
        opset: ONNX operator set; None lets the exporter choose the newest that all that follows can read.
        sample: one batch of real input, by input name, for exporters that trace; None where nobody gave data.
        dynamic: further dynamic dimensions by input: the axis and its name. Axis 0 is the batch and dynamic always.
        outputs: names for outputs, for frameworks that have none, in order; empty leaves it to the exporter.
        signature: of a SavedModel.
    """

    opset: int | None = None
    sample: Feeds | None = None
    dynamic: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    signature: str = "serving_default"


class Original(Protocol):
    """One model as its framework wrote it."""

    @property
    def path(self) -> Path:
        """The file or folder."""

    @property
    def name(self) -> str:
        """The model's folder in its repository; outside of one, the file's or the function's name."""

    @property
    def version(self) -> int | None:
        """In its repository; None outside of one."""

    @property
    def kind(self) -> str:
        """Such as "savedmodel", "torchscript", "onnx"."""

    @property
    def digest(self) -> str:
        """SHA-256 in lower-case hex over all that makes it up."""

    def to_onnx(self, options: ExportOptions) -> onnx.ModelProto:
        """The model as ONNX, simplified, shape-inferred, checked, with a dynamic batch where the model has one.

        Raises:
            BadSource: it is damaged.
            Unsupported: it holds what ONNX has no operator for; names the operators.
            ToolMissing: its framework is not installed; says which extra to install.
            BadData: tracing needs a sample and there is none, or it does not fit.
        """

    def runner(self, options: ExportOptions) -> Runner:
        """The model run by its own framework, with inputs and outputs named as in the ONNX that `to_onnx` gives."""

"""What can go wrong in a conversion, told so that one knows which model, which step, which node, and the way out."""

from __future__ import annotations

import errno
from dataclasses import dataclass, replace

FAILED, MISUSED, GATE_FAILED, INTERRUPTED = 1, 2, 3, 130
"""Exit codes of `triton-convert`."""

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Numbers of the operating system's errors that say that no room is left."""

_LONGEST_LINE = 300


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the work something went wrong; what is not known is empty.

    Attributes:
        model: the model's name in the configuration, or its file.
        step: such as "to ONNX", "int8", "gate int8", "engine int8 rtx", "publish int8 rtx".
        node: an ONNX node as `name (Operator)`, or a tensor.
    """

    model: str = ""
    step: str = ""
    node: str = ""

    def __str__(self) -> str:
        named = (("", self.model), ("", self.step), ("node ", self.node))
        return ", ".join(f"{word}{value}" for word, value in named if value)


class ConversionError(Exception):
    """Something in the model, its data or this machine keeps a conversion from being done.

    Args:
        what: what was wrong, as one sentence without a full stop; no stack traces, no addresses.
        hint: the way out, as an imperative.
        place: where, as far as it is known here; whoever knows more adds it with `at`.
    """

    exit_code = FAILED

    def __init__(self, what: str, *, hint: str, place: Place = Place()) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.place = place

    def at(self, *, model: str = "", step: str = "", node: str = "") -> ConversionError:
        """The same error, with what it did not know yet of its place filled in."""
        self.place = replace(
            self.place,
            model=self.place.model or model,
            step=self.place.step or step,
            node=self.place.node or node,
        )
        return self

    def __str__(self) -> str:
        where = str(self.place)
        return f"{where}: {self.what}; {self.hint}" if where else f"{self.what}; {self.hint}"


class Unsupported(ConversionError):
    """The model holds something that the next step cannot take: an operator, a type, a shape."""


class BadData(ConversionError):
    """Calibration or verification data is missing, of the wrong shape or type, or holds NaN."""


class BadSource(ConversionError):
    """The model's own file is missing, damaged, or none that is known."""


class ToolMissing(ConversionError):
    """A library, or a GPU, that this step needs is not there."""


class OutOfResources(ConversionError):
    """No memory or no disk is left."""


class BadEngine(ConversionError):
    """An engine is damaged, or from another version or for another GPU."""


class GateFailed(ConversionError):
    """The result is not as good as the original."""

    exit_code = GATE_FAILED


class ConfigError(ConversionError):
    """The configuration or the command line is wrong."""

    exit_code = MISUSED


def first_line(error: BaseException) -> str:
    """What another library says was wrong, for the middle of a sentence: its first line, or else the error's kind."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].strip().rstrip(".")[:_LONGEST_LINE]

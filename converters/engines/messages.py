"""What an engine builder says while it works, without the places in its C++ source that it puts around every word."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

_CLUTTER = tuple(
    (re.compile(pattern, re.DOTALL), replacement)
    for pattern, replacement in (
        (r"^\s*\[?\(?[\w:. ]*\.(?:cpp|h|cc|cu)[^\]\n]{0,120}?\]\s*", ""),  # [codeGenerator.cpp::createGraph::1203]
        (r"^[\w./]+\.(?:cpp|h|cc|cu):\d+:\s*", ""),  # onnxOpImporters.cpp:1980:
        (r"^I\w+::\w+:\s*", ""),  # IBuilder::buildSerializedNetwork:
        (r"^Error Code \d+:\s*[\w ]+\((.*)\)\s*$", r"\1"),
        (r"\[[\w./]+\.(?:cpp|h|cc|cu):\d+:[^\]]*\]\s*", ""),  # [pass.cpp:1500: run_passes]
        (r"\s*In [\w:~<>]+ at [^\s()]+:\d+", ""),
        (r"^(?:In function \w+:\s*)?(?:\[\d+\]\s*)?", ""),
        (r"^Assertion failed: .*? && \"(.*)\"$", r"\1"),
        (r"^\"?[\w.>():\-]+ && \"(.*)\"$", r"\1"),
        (r"^Assertion \S.*? failed\.\s*(?=\S)", ""),
        (r"^Assertion failed: .*?:\s+(?=[A-Z])", ""),
    )
)
# Said on every machine without a GPU beside whatever is really wrong, and by every second builder of a process.
_NOISE = re.compile(
    r"catchCudaError|logger passed into|Thread context has not been set|is unsupported in TensorRT|"
    r"Make sure (?:input|output) .* has Int64 binding"
)


def clean(message: str) -> str:
    """One message of a builder as a user can read it; empty where nothing is left."""
    text = message.split("\n[checkMacros", maxsplit=1)[0].strip()
    before = ""
    while before != text:
        before = text
        for pattern, replacement in _CLUTTER:
            text = pattern.sub(replacement, text).strip()
    return " ".join(text.split()).rstrip(".;, ")


@dataclass(slots=True)
class Messages:
    """What was said in one build.

    Attributes:
        errors: raw, in the order that they came; cleaned only when they are shown, since what is wrong is told by them.
        warnings: cleaned, each once.
    """

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def error(self, message: str) -> None:
        """Take an error in."""
        if message not in self.errors and not _NOISE.search(message):
            self.errors.append(message)

    def warning(self, message: str) -> None:
        """Take a warning in."""
        text = clean(message)
        if text and text not in self.warnings and not _NOISE.search(message):
            self.warnings.append(text)

    @property
    def text(self) -> str:
        """All errors, raw."""
        return "\n".join(self.errors)


def logger_of(trt: Any, messages: Messages) -> Any:
    """A logger that takes errors and warnings in and prints nothing.

    The first logger of a process counts for all builders and runtimes that live at the same time: whoever gives one
    must let go of all of them before another one is given. (Error recorders would be each builder's own, but those of
    tensorrt_rtx 1.7.1 crash when a network is freed.)
    """

    class Collector(trt.ILogger):  # type: ignore[misc]  # the library has no types
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                messages.error(message)
            elif severity == trt.ILogger.WARNING:
                messages.warning(message)

    return Collector()

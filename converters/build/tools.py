"""Which versions of the libraries take part in a build: results depend on them, and reports tell them."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Mapping

_ALL = (
    "numpy", "onnx", "onnxruntime", "onnxslim", "tensorrt", "tensorrt-rtx", "torch", "tensorflow-cpu", "tf2onnx",
    "skl2onnx", "onnxmltools", "onnxscript",
)  # fmt: skip


def versions(names: Iterable[str] = _ALL) -> Mapping[str, str]:
    """The versions of libraries, of those that are installed."""
    found = dict[str, str]()
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found

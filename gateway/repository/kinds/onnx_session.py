"""ONNX Runtime in the sandbox: opens a model on one thread, and runs it with the protocol's arrays."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.core.errors import ModelRefused

if TYPE_CHECKING:
    from gateway.repository.kinds.base import Array

_OLDEST_OPSET = 7
_OPERATOR_VERSION = re.compile(r"Could not find an implementation for \w+\((\d+)\)")
_ERRORS_ONLY = 3  # of ONNX Runtime's log severities


def open_session(path: Path, *, optimised: bool) -> Any:
    """A session on the CPU with ONNX Runtime's own defaults, but one thread.

    Args:
        path: the model.
        optimised: as by default; without it the model opens faster and runs slower.

    Raises:
        ModelRefused: ONNX Runtime cannot open it.
    """
    try:
        import onnxruntime as ort  # noqa: PLC0415 - only the sandbox imports frameworks
    except ImportError:
        raise ModelRefused(
            "onnxruntime is not installed; install the extra: pip install 'triton-gateway[onnx]'"
        ) from None
    options = ort.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    if not optimised:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of many types, by ONNX Runtime's status
        text = _plain(error, path)
        raise ModelRefused(f"ONNX Runtime {ort.__version__} cannot open the model: {text}{_advice(text)}") from None


def run(session: Any, inputs: Mapping[str, Array], outputs: Sequence[str]) -> dict[str, Array]:
    """The named outputs; strings are `bytes` on the way in and out, and a scalar comes as one element.

    Raises:
        Exception: whatever ONNX Runtime raises.
    """
    import numpy as np  # noqa: PLC0415 - only the sandbox needs it

    feed = {name: _each(array, bytes.decode) if array.dtype == object else array for name, array in inputs.items()}
    arrays = (np.atleast_1d(np.asarray(array)) for array in session.run(list(outputs), feed))
    return {
        name: _each(array, str.encode) if array.dtype == object else array
        for name, array in zip(outputs, arrays, strict=True)
    }


def _each(array: Array, convert: Any) -> Array:
    import numpy as np  # noqa: PLC0415 - only the sandbox needs it

    return np.array([convert(each) for each in array.reshape(-1)], object).reshape(array.shape)


def _plain(error: Exception, path: Path) -> str:
    """The message on one line, without paths and without the prefix `[ONNXRuntimeError] : 2 : INVALID_ARGUMENT :`."""
    text = " ".join(str(error).split())
    text = text.split(" : ", 3)[-1] if text.startswith("[ONNXRuntimeError]") else text
    return text.replace(f"{path.parent}/", "")[:500].rstrip(". ")


def _advice(text: str) -> str:
    if (version := _OPERATOR_VERSION.search(text)) and int(version[1]) < _OLDEST_OPSET:
        return (
            f". The model is of an opset older than {_OLDEST_OPSET}, which ONNX Runtime doesn't run: convert it with "
            "onnx.version_converter.convert_version(onnx.load(FILE), 18)"
        )
    if "locale" in text:
        return ". The machine that serves it lacks that locale; install it there, or export the model without it"
    if (
        "is not a registered function/op" in text
        or "No Op registered for" in text
        or "Could not find an implement" in text
    ):
        return ". ONNX Runtime lacks that operator; export the model with standard operators, or for float32"
    if "opset" in text.lower() or "IR version" in text:
        return ". Export it for an older opset, such as torch.onnx.export(..., opset_version=18)"
    return ". onnx.checker.check_model may tell more; export it again, or copy it again if it was cut short"

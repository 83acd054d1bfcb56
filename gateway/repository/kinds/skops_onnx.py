"""Estimators of scikit-learn that are more than a forest, as ONNX, where skl2onnx is installed."""

from __future__ import annotations

import importlib.util
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.core.errors import ModelRefused
from gateway.repository.description import Description, Hints
from gateway.repository.kinds.base import Target
from gateway.repository.kinds.onnx import OnnxKind
from gateway.repository.kinds.skops_trees import origin
from gateway.repository.sample_file import read_sample

if TYPE_CHECKING:
    from gateway.repository.kinds.base import Array

_INPUT = "X"
_ROWS = 128
# ONNX computes in single precision: a value beside a threshold may fall to its other side.
_MAY_DIFFER = 0.02  # of the rows


def prepare(estimator: Any, target: Target, hints: Hints, name: str, notes: Sequence[str]) -> Description:
    """The estimator as `model.onnx`, which takes rows [-1, features] in FP32, or texts [-1, 1], as `X`.

    Args:
        estimator: fitted.
        target: where it goes.
        hints: give the tolerance, and perhaps a sample.
        name: what messages call it.
        notes: what is to be said of it already.

    Raises:
        ModelRefused: it cannot be converted, or would answer otherwise.
    """
    way_out = "export it to ONNX yourself with skl2onnx.to_onnx, and drop the .onnx file"
    if importlib.util.find_spec("skl2onnx") is None:
        raise ModelRefused(
            f"{name} is not only trees, so it is served by way of ONNX, which needs skl2onnx: pip install skl2onnx, or "
            f"{way_out}"
        )
    features = 1 if _vocabulary(estimator) else getattr(estimator, "n_features_in_", None)
    if features is None:
        raise ModelRefused(f"{name} does not tell how many features it takes; {way_out}")
    onnx = OnnxKind()
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.onnx"
        path.write_bytes(_convert(estimator, int(features), name, way_out))
        described = onnx.prepare(path, target, hints if hints.batches is not None else replace(hints, batches=True))
    rows = read_sample(hints.sample, described.inputs)[_INPUT] if hints.sample else _likely_rows(estimator, features)
    served = onnx.reference(target.version, described, {_INPUT: rows})
    share = _check_equal(_own_outputs(estimator, rows), served, hints.tolerance, name)
    answers = " and ".join(method for method, _ in _methods(estimator))
    return replace(
        described,
        kind="skops",
        ambiguous=(*notes, *described.ambiguous),
        origin={
            **described.origin,
            **origin(estimator, answers),
            "converter": "skl2onnx",
            "compared": f"{len(rows)} rows with scikit-learn itself: {share:.1%} differ by over {hints.tolerance:g}",
        },
    )


def _convert(estimator: Any, features: int, name: str, way_out: str) -> bytes:
    import skl2onnx  # noqa: PLC0415 - only where it is installed
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType  # noqa: PLC0415 - as above
    from skl2onnx.helpers.onnx_helper import select_model_inputs_outputs  # noqa: PLC0415 - as above

    classifier = hasattr(estimator, "classes_")
    types = [(_INPUT, (StringTensorType if _vocabulary(estimator) else FloatTensorType)([None, features]))]
    flattening = {name: False for name in estimator.get_params() if name.endswith("flatten_transform")}
    estimator.set_params(**flattening)  # skl2onnx wants it so, and only `transform` of a vote depends on it
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its dependencies' next versions
            model = skl2onnx.to_onnx(
                estimator, initial_types=types, options={id(estimator): {"zipmap": False}} if classifier else None
            )
            if classifier and not hasattr(estimator, "predict_proba"):
                model = select_model_inputs_outputs(model, [model.graph.output[0].name])
    except Exception as error:  # whatever a converter trips over
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise ModelRefused(f"{name} cannot be converted to ONNX: {reason}; take simpler steps, or {way_out}") from None
    for node in model.graph.node:
        if node.op_type == "StringNormalizer":
            _set_locale(node)
    document: bytes = model.SerializeToString()
    return document


def _set_locale(node: Any) -> None:
    """Lower-case by a locale that every machine has; the default, en_US, is in few container images."""
    from onnx.helper import make_attribute  # noqa: PLC0415 - comes with skl2onnx

    others = [attribute for attribute in node.attribute if attribute.name != "locale"]
    node.ClearField("attribute")
    node.attribute.extend([*others, make_attribute("locale", "C.UTF-8")])


def _methods(estimator: Any) -> list[tuple[str, Any]]:
    """What gives the outputs of the ONNX model, in their order."""
    names = ["predict", "predict_proba"] if hasattr(estimator, "classes_") else ["predict"]
    found = [name for name in names if hasattr(estimator, name)] or ["transform"]
    return [(name, getattr(estimator, name)) for name in found]


def _vocabulary(estimator: Any) -> list[str]:
    """The words that a model of texts knows; none if the model takes numbers."""
    first = estimator.steps[0][1] if hasattr(estimator, "steps") else estimator
    return sorted(getattr(first, "vocabulary_", ()))


def _own_outputs(estimator: Any, rows: Array) -> list[Array]:
    given: Any = [text.decode() for text in rows.ravel()] if rows.dtype == object else rows
    return [method(given) for _, method in _methods(estimator)]


def _check_equal(own: Sequence[Array], served: Mapping[str, Array], tolerance: float, name: str) -> float:
    """Each of scikit-learn's answers is held against the output in its place; gives the largest share that differs."""
    import numpy as np  # noqa: PLC0415 - the kinds cost nothing outside of the sandbox

    largest = 0.0
    for wanted, (output, got) in zip(own, served.items(), strict=False):
        wanted = np.asarray(wanted).reshape(got.shape)  # noqa: PLW2901 - the same answer in the output's shape
        if wanted.dtype.kind in "OUS":
            wrong = np.array([str(each).encode() for each in wanted.ravel()], object) != got.ravel()
        else:
            wrong = ~np.isclose(got, wanted, rtol=tolerance, atol=tolerance, equal_nan=True)
        if wanted.dtype.kind in "OUSbiu" and wanted.ndim == 1:
            wrong &= ~_ties(own, tolerance)
        share = float(np.mean(wrong.reshape(len(got), -1).any(axis=1)))
        if share > _MAY_DIFFER:
            raise ModelRefused(
                f"{name} as ONNX would not answer as scikit-learn does: output '{output}' differs for {share:.0%} of "
                f"{len(got)} rows; give a sample of real rows, or a larger tolerance if the difference is small"
            )
        largest = max(largest, share)
    return largest


def _ties(own: Sequence[Array], tolerance: float) -> Array:
    """The rows for which two classes are as likely, so that either is right."""
    import numpy as np  # noqa: PLC0415 - the kinds cost nothing outside of the sandbox

    likely = np.sort(own[-1], axis=-1) if len(own) > 1 else np.empty(0)
    if likely.ndim < 2 or likely.shape[1] < 2:
        return np.zeros(len(own[0]), bool)
    close: Array = likely[:, -1] - likely[:, -2] <= tolerance
    return close


def _likely_rows(estimator: Any, features: int) -> Array:
    """Made-up rows, of the place and size that a scaler in front has learned, or of words that the model knows."""
    import numpy as np  # noqa: PLC0415 - the kinds cost nothing outside of the sandbox

    first = estimator.steps[0][1] if hasattr(estimator, "steps") else estimator
    random = np.random.default_rng(0)
    if words := _vocabulary(estimator):
        return np.array([[" ".join(random.choice(words, 5)).encode()] for _ in range(_ROWS)], object)
    rows = random.normal(size=(_ROWS, features))
    learned: list[Any] = [getattr(first, name, None) for name in ("scale_", "mean_")]
    if all(np.shape(each) == (features,) for each in learned):
        rows = rows * learned[0] + learned[1]
    return rows.astype(np.float32)

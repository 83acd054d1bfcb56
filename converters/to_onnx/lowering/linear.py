"""LinearClassifier and LinearRegressor."""

from __future__ import annotations

import numpy as np

from converters.arrays import Array
from converters.to_onnx.lowering.emitter import Emitter
from converters.to_onnx.lowering.products import product
from converters.to_onnx.lowering.scores import above, best_class, labels_of, pair_of, probit, transformed


def lower_classifier(emit: Emitter) -> None:
    """Writes out a LinearClassifier."""
    attributes = emit.attributes()
    labels, transform = labels_of(emit, "classlabels_ints"), attributes.get("post_transform", "NONE")
    intercepts = np.asarray(attributes.get("intercepts", ()), np.float32)
    scores = _affine(emit, intercepts, max(len(intercepts), 1))
    if len(intercepts) > 1:
        best_class(emit, scores, labels)
        result = transformed(emit, scores, transform)
    else:
        above(emit, scores, 0.0, labels.binary())
        result = probit(emit, scores) if transform == "PROBIT" and len(labels) != 2 else scores
        if len(labels) == 2:
            # ONNX Runtime takes a single score for a probability, whatever the transform is.
            result = pair_of(emit, scores, transform, positive=True)
    if output := emit.output(1):
        emit("Identity", result, output=output)


def lower_regressor(emit: Emitter) -> None:
    """Writes out a LinearRegressor."""
    attributes = emit.attributes()
    targets, transform = int(attributes.get("targets", 1)), attributes.get("post_transform", "NONE")
    scores = _affine(emit, np.asarray(attributes.get("intercepts", ()), np.float32), targets)
    if targets > 1:
        scores = transformed(emit, scores, transform)
    elif transform == "PROBIT":
        # ONNX Runtime applies none of the other transforms to a single target.
        scores = probit(emit, scores)
    emit("Identity", scores, output=emit.output(0))


def _affine(emit: Emitter, intercepts: Array, outputs: int) -> str:
    coefficients = np.asarray(emit.attributes()["coefficients"], np.float32).reshape(outputs, -1)
    scores = product(emit, emit.as_float(emit.source.input[0]), coefficients)
    return emit("Add", scores, emit.constant(intercepts)) if len(intercepts) else scores

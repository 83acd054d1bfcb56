"""SVMRegressor, and SVMClassifier without probabilities."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import onnx

from converters.arrays import Array
from converters.to_onnx.lowering.emitter import Emitter
from converters.to_onnx.lowering.products import product
from converters.to_onnx.lowering.scores import best_class, labels_of, pair_of, transformed


def lower_regressor(emit: Emitter) -> None:
    """Writes out an SVMRegressor."""
    attributes = emit.attributes()
    rows = emit.as_float(emit.source.input[0])
    supports, coefficients = int(attributes.get("n_supports", 0)), _floats(attributes, "coefficients")
    features = _kernels(emit, rows, attributes, supports) if supports else rows
    scores = product(emit, features, coefficients.reshape(1, -1))
    scores = emit("Add", scores, emit.constant(attributes["rho"][:1]))
    if attributes.get("one_class", 0):
        inside = emit("Greater", scores, emit.constant(0))
        scores = emit("Where", inside, emit.constant(1), emit.constant(-1))
    emit("Identity", scores, output=emit.output(0))


def lower_classifier(emit: Emitter) -> None:
    """Writes out an SVMClassifier: a score for each pair of classes, whose winners are counted."""
    attributes, labels = emit.attributes(), labels_of(emit, "classlabels_ints")
    if attributes.get("prob_a"):
        emit.refuse("it estimates probabilities in a loop of its own", "train it with `probability=False`")
    if "vectors_per_class" not in attributes:
        emit.refuse("it has no support vectors", "train a linear model (scikit-learn: LinearSVC)")
    sizes = np.asarray(attributes["vectors_per_class"], np.int64)
    rows = emit.as_float(emit.source.input[0])
    kernels = _kernels(emit, rows, attributes, int(sizes.sum()))
    pairs = list(combinations(range(len(labels)), 2))
    weights = _pair_weights(_floats(attributes, "coefficients").reshape(len(labels) - 1, -1), sizes, pairs)
    scores = emit("Add", product(emit, kernels, weights), emit.constant(attributes["rho"][: len(pairs)]))
    best_class(emit, _wins(emit, scores, pairs, len(labels)), labels)
    transform = attributes.get("post_transform", "NONE")
    if output := emit.output(1):
        if len(pairs) == 1:
            result = pair_of(emit, scores, transform, positive=transform != "NONE")
        else:
            result = transformed(emit, scores, transform)
        emit("Identity", result, output=output)


def _kernels(emit: Emitter, rows: str, attributes: dict[str, Any], count: int) -> str:
    """The kernel of rows [batch, features] with each support vector: [batch, vectors]."""
    vectors = _floats(attributes, "support_vectors").reshape(count, -1)
    kind = attributes.get("kernel_type", "LINEAR")
    gamma, offset, degree = (emit.constant(value) for value in attributes.get("kernel_params", (0, 0, 0)))
    if kind == "RBF":
        apart = emit("Sub", emit("Unsqueeze", rows, emit.axes(1)), emit.constant(vectors))
        distance = emit("ReduceSum", emit("Mul", apart, apart), emit.axes(2), keepdims=0)
        return emit("Exp", emit("Neg", emit("Mul", distance, gamma)))
    dot = product(emit, rows, vectors)
    if kind == "LINEAR":
        return dot
    inner = emit("Add", emit("Mul", dot, gamma), offset)
    return emit("Pow", inner, degree) if kind == "POLY" else emit("Tanh", inner)


def _pair_weights(coefficients: Array, sizes: Array, pairs: list[tuple[int, int]]) -> Array:
    """[pairs, vectors]: what each vector weighs for each pair; `coefficients` has a row for each *other* class."""
    ends = np.cumsum(sizes)
    starts = ends - sizes
    weights = np.zeros((len(pairs), int(ends[-1])), np.float32)
    for row, (i, j) in zip(weights, pairs, strict=True):
        row[starts[i] : ends[i]] = coefficients[j - 1, starts[i] : ends[i]]
        row[starts[j] : ends[j]] = coefficients[i, starts[j] : ends[j]]
    return weights


def _wins(emit: Emitter, scores: str, pairs: list[tuple[int, int]], classes: int) -> str:
    """[batch, classes]: how many pairs each class wins: the first of the pair if the score is positive."""
    gain = np.zeros((classes, len(pairs)), np.float32)
    without = np.zeros(classes, np.float32)
    for number, (i, j) in enumerate(pairs):
        gain[i, number], gain[j, number] = 1, -1
        without[j] += 1
    positive = emit("Cast", emit("Greater", scores, emit.constant(0)), to=onnx.TensorProto.FLOAT)
    return emit("Add", product(emit, positive, gain), emit.constant(without))


def _floats(attributes: dict[str, Any], name: str) -> Array:
    return np.asarray(attributes.get(name, ()), np.float32)

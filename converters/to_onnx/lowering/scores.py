"""What the classical operators do to their scores at the end: `post_transform`, and the class that wins.

ONNX leaves much open; where it does, this follows ONNX Runtime, against which converted models are compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from converters.to_onnx.lowering.emitter import Emitter


@dataclass(frozen=True, slots=True)
class Labels:
    """A classifier's labels: numbers, or text, for which the class's index comes out."""

    numbers: tuple[int, ...]
    texts: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.texts or self.numbers)

    def binary(self) -> Labels:
        """Those of a classifier of one score: its own two, or else 0 and 1."""
        return self if len(self) == 2 else Labels((0, 1), ("0", "1") if self.texts else ())


def labels_of(emit: Emitter, name: str) -> Labels:
    """The labels of a classifier, whose numbers are in the attribute of that name: the operators differ in it."""
    attributes = emit.attributes()
    texts = tuple(text.decode() for text in attributes.get("classlabels_strings", ()))
    return Labels(tuple(attributes.get(name, ())), texts)


def transformed(emit: Emitter, scores: str, transform: str) -> str:
    """Scores [batch, two or more] after `post_transform`."""
    if transform == "SOFTMAX":
        return emit("Softmax", scores, axis=1)
    if transform == "LOGISTIC":
        return emit("Sigmoid", scores)
    if transform == "SOFTMAX_ZERO":
        return _softmax_zero(emit, scores)
    if transform == "PROBIT":
        return probit(emit, scores)
    if transform != "NONE":
        emit.refuse(f'post_transform "{transform}" is none that ONNX defines', "convert the model from its original")
    return scores


def probit(emit: Emitter, scores: str) -> str:
    """The inverse of the normal distribution, by the approximation with a = 0.147 that ONNX Runtime uses.

    Near 0.5 it subtracts numbers that are nearly equal, so its last digits depend on how a machine rounds.
    """
    a = np.float32(0.147)
    x = emit("Sub", emit("Mul", scores, emit.constant(2)), emit.constant(1))
    logarithm = emit("Log", emit("Mul", emit("Sub", emit.constant(1), x), emit("Add", emit.constant(1), x)))
    half = emit("Mul", logarithm, emit.constant(0.5))
    half = emit("Add", half, emit.constant(np.float32(2) / (np.float32(3.14159) * a)))
    under = emit("Sub", emit("Mul", half, half), emit("Mul", logarithm, emit.constant(np.float32(1) / a)))
    root = emit("Sqrt", emit("Sub", emit("Sqrt", under), half))
    sign = emit("Where", emit("Less", x, emit.constant(0)), emit.constant(-1), emit.constant(1))
    return emit("Mul", emit("Mul", sign, root), emit.constant(np.sqrt(2)))


def pair_of(emit: Emitter, score: str, transform: str, *, positive: bool) -> str:
    """Scores [batch, 2] of both classes from that of the second [batch, 1].

    Args:
        emit: where to.
        score: the second class's.
        transform: the `post_transform`, of which only LOGISTIC counts here.
        positive: the score is a probability, being made of positive weights alone.
    """
    if transform == "PROBIT":
        emit.refuse("PROBIT of one score says nothing of the other class", "convert it with scores for both classes")
    if positive and transform != "LOGISTIC":
        return emit("Concat", emit("Sub", emit.constant(1), score), score, axis=1)
    pair = emit("Concat", emit("Neg", score), score, axis=1)
    return emit("Sigmoid", pair) if transform == "LOGISTIC" else pair


def _softmax_zero(emit: Emitter, scores: str) -> str:
    """Softmax over the scores that are not zero; those that are stay so."""
    largest = emit("ReduceMax", scores, emit.axes(1), keepdims=1)
    counts = emit("Greater", emit("Abs", scores), emit.constant(1e-7))
    powers = emit("Exp", emit("Sub", scores, largest))
    total = emit("ReduceSum", emit("Where", counts, powers, emit.constant(0)), emit.axes(1), keepdims=1)
    zeros = emit("Mul", scores, emit("Exp", emit("Neg", largest)))
    return emit("Div", emit("Where", counts, powers, zeros), total)


def best_class(emit: Emitter, scores: str, labels: Labels) -> None:
    """Writes the first output: the label of the largest of scores [batch, classes]; of equal ones the first."""
    if output := emit.output(0):
        _labelled(emit, emit("ArgMax", scores, axis=1, keepdims=0), labels, output)


def above(emit: Emitter, score: str, limit: float, labels: Labels) -> None:
    """Writes the first output: the second label where score [batch, 1] is above the limit, else the first."""
    if output := emit.output(0):
        flat = emit("Squeeze", score, emit.axes(1))
        index = emit("Cast", emit("Greater", flat, emit.constant(limit)), to=onnx.TensorProto.INT64)
        _labelled(emit, index, labels, output)


def _labelled(emit: Emitter, index: str, labels: Labels, output: str) -> None:
    if labels.texts:
        emit.labels[output] = labels.texts
    if labels.texts or labels.numbers == tuple(range(len(labels))):
        emit("Identity", index, output=output)
    else:
        emit("Gather", emit.constant(labels.numbers, np.int64), index, output=output)

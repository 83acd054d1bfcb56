"""Whether two answers to one request agree, and how far they are apart; pure but for a user's own function.

Integers, truth values and texts agree if they are equal, whatever numbers are judged by, and so do not names, shapes
or datatypes that differ: a client would notice. Outputs that the candidate alone has do no harm. A classification is
two outputs, as `gateway/tap/classes.py` takes it apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from gateway.tap.classes import CLASS, taken_apart
from gateway.tap.datatypes import Array, Tensor, Undecodable
from gateway.tap.difference import Difference, OutputDifference
from gateway.tap.exchange import Answer, Exchange
from gateway.tap.measure import SAME, distance, identical, top1, unequal
from gateway.tap.tensors import answer_tensors, asked_classes, failure
from gateway.tap.user_function import FunctionFailed, UserFunction
from gateway.traffic.mirror_sections import CompareSection

__all__ = ["Difference", "OutputDifference", "compare", "compare_tensors"]


def compare(exchange: Exchange, section: CompareSection, function: UserFunction | None = None) -> Difference:
    """Compare the answers of an exchange: first the baseline's, then the candidate's.

    Args:
        exchange: with two answers.
        section: when they agree.
        function: the user's own, where the section judges by one.
    """
    if len(exchange.answers) != 2:
        return Difference("unreadable", f"{len(exchange.answers)} answers are no two that can be compared")
    baseline, candidate = exchange.answers
    failed = _failed(exchange.protocol, baseline, candidate)
    if failed is not None:
        return failed
    try:
        expected = answer_tensors(exchange.protocol, baseline)
    except Undecodable as error:
        return Difference("unreadable", f"the baseline's answer: {error.message}")
    try:
        got = answer_tensors(exchange.protocol, candidate)
    except Undecodable as error:
        return Difference("differed", f"the candidate's answer cannot be read: {error.message}", math.inf)
    if any(tensor.datatype == "BYTES" for tensor in expected):  # others are no classifications
        classification = asked_classes(exchange)
        expected, got = taken_apart(expected, classification), taken_apart(got, classification)
    return compare_tensors(expected, got, section, function)


def compare_tensors(
    expected: tuple[Tensor, ...],
    got: tuple[Tensor, ...],
    section: CompareSection,
    function: UserFunction | None = None,
) -> Difference:
    """Compare the outputs of two answers.

    Args:
        expected: the baseline's, classifications taken apart.
        got: the candidate's.
        section: when they agree; to ignore an output is to ignore its classes too.
        function: the user's own, where the section judges by one.
    """
    ignored = {*section.ignore, *(f"{name}{CLASS}" for name in section.ignore)}
    wanted = {tensor.name: tensor for tensor in expected if tensor.name not in ignored}
    there = {tensor.name: tensor for tensor in got if tensor.name not in ignored}
    outputs = {name: _output(tensor, there.get(name), section) for name, tensor in wanted.items()}
    if function is not None:
        return _by_function(wanted, there, outputs, function)
    wrong = [(name, output) for name, output in outputs.items() if not output.agrees]
    error = max((_error(output, section) for output in outputs.values()), default=0.0)
    if not wrong:
        return Difference("agreed", "", error, outputs)
    name, output = max(wrong, key=lambda each: _error(each[1], section))
    return Difference("differed", f"output {name!r} {output.reason}", error, outputs)


def _failed(protocol: Literal["http", "grpc"], baseline: Answer, candidate: Answer) -> Difference | None:
    """What is said of answers that are errors; None if neither is one."""
    first, second = failure(protocol, baseline), failure(protocol, candidate)
    if first and second:
        return Difference("agreed")
    if second:
        return Difference("differed", f"the candidate failed: {second}", math.inf)
    if first:
        return Difference("differed", f"the baseline failed, and the candidate did not: {first}", math.inf)
    return None


def _output(expected: Tensor, got: Tensor | None, section: CompareSection) -> OutputDifference:
    name, shape = expected.datatype, expected.shape
    if got is None:
        return OutputDifference(name, shape, agrees=False, reason="is missing")
    if got.datatype != name:
        return OutputDifference(name, shape, agrees=False, reason=f"is {got.datatype} instead of {name}")
    if got.shape != shape:
        return OutputDifference(name, shape, agrees=False, reason=f"is {list(got.shape)} instead of {list(shape)}")
    if section.by == "top1" and expected.name.endswith(CLASS) and expected.data.ndim:  # the best stand first
        return _exact(name, expected.data[..., :1], got.data[..., :1])
    if expected.data.dtype.kind == "f":
        return _numbers(name, expected.data, got.data, section)
    return _exact(name, expected.data, got.data)


def _exact(datatype: str, expected: Array, got: Array) -> OutputDifference:
    size, wrong = expected.size, unequal(expected, got)
    reason = f"has {wrong} of {size} elements that are not equal" if wrong else ""
    if expected.dtype.kind == "O":
        return OutputDifference(datatype, expected.shape, not wrong, size, wrong, reason=reason)
    far = distance(expected, got, 0.0, 0.0) if wrong else SAME
    return OutputDifference(
        datatype, expected.shape, not wrong, size, wrong, far.max_error, far.mean_error, far.cosine, None, reason
    )


def _numbers(datatype: str, expected: Array, got: Array, section: CompareSection) -> OutputDifference:
    far = SAME if not expected.size else distance(expected, got, section.absolute, section.relative)
    classes = expected.ndim > 0 and expected.shape[-1] > 1 and expected.size > 0
    top: float | None = None
    if classes:
        top = 1.0 if identical(expected.reshape(-1), got.reshape(-1)) else top1(expected, got)
    if section.by == "cosine" and expected.size > 1:
        agrees = far.cosine >= section.cosine and math.isfinite(far.max_error)
        reason = f"has cosine similarity {far.cosine:.6g}, below {section.cosine:g}"
    elif section.by == "top1" and top is not None:
        agrees = top == 1.0
        reason = f"has another top class in {1 - top:.3%} of its rows"
    else:  # one number has neither direction nor classes
        agrees = not far.mismatched
        reason = f"has {far.mismatched} of {expected.size} elements that are off by up to {far.max_error:.3g}"
    if not agrees and not math.isfinite(far.max_error):
        reason = "has elements that are infinite or not numbers, where others are expected"
    return OutputDifference(
        datatype=datatype,
        shape=expected.shape,
        agrees=agrees,
        elements=expected.size,
        mismatched=far.mismatched,
        max_error=far.max_error,
        mean_error=far.mean_error,
        cosine=far.cosine,
        top1=top,
        reason="" if agrees else reason,
    )


def _error(output: OutputDifference, section: CompareSection) -> float:
    """How bad an output is, in the unit that the section judges by."""
    if output.max_error is None:  # texts, or nothing that can be compared
        return 0.0 if output.agrees else math.inf
    if section.by == "cosine" and output.cosine is not None and output.elements > 1:
        return 1 - output.cosine if math.isfinite(output.max_error) else math.inf
    if section.by == "top1" and output.top1 is not None:
        return 1 - output.top1
    return output.max_error


def _by_function(
    expected: Mapping[str, Tensor],
    got: Mapping[str, Tensor],
    outputs: dict[str, OutputDifference],
    function: UserFunction,
) -> Difference:
    try:
        told = function.judge({name: each.data for name, each in expected.items()}, {n: t.data for n, t in got.items()})
    except FunctionFailed as error:
        return Difference("unreadable", error.message)
    if told.agrees:
        return Difference("agreed", "", 1 - told.score, outputs)
    return Difference("differed", f"{function.reference} says {told.score:.4g}", 1 - told.score, outputs)

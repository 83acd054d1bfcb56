"""Holds one answer against another, whatever protocol each came by; pure but for a user's own function."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.replay.target import GrpcTarget, HttpTarget
from gateway.tap.classes import taken_apart
from gateway.tap.compare import Difference, compare_tensors
from gateway.tap.datatypes import Tensor, Undecodable
from gateway.tap.exchange import Answer
from gateway.tap.recording.segment import Recorded
from gateway.tap.tensors import answer_tensors
from gateway.tap.user_function import UserFunction
from gateway.traffic.mirror_sections import CompareSection


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What came of asking one side.

    Attributes:
        target: who was asked, for people.
        model: the model that was asked.
        version: its version; empty for "the server chooses".
        seconds: until the answer was there; None if nobody knows.
        tensors: the outputs, classifications taken apart.
        failure: what the answer says if it is an error; empty if it is none.
        unreadable: why the outputs cannot be read; empty if they can.
    """

    target: str
    model: str
    version: str
    seconds: float | None
    tensors: tuple[Tensor, ...] = ()
    failure: str = ""
    unreadable: str = ""


def outcome_of(target: HttpTarget | GrpcTarget, answer: Answer, classification: Mapping[str, int]) -> Outcome:
    """An answer, read.

    Args:
        target: who gave it.
        answer: what came.
        classification: of how many classes the request asks, by output.
    """
    who = (target.url, answer.model, answer.version, answer.seconds)
    if failed := target.failure(answer):
        return Outcome(*who, failure=failed)
    try:
        return Outcome(*who, tensors=taken_apart(answer_tensors(target.protocol, answer), classification))
    except Undecodable as error:
        return Outcome(*who, unreadable=error.message)


def expected_of(request: Recorded) -> Outcome | None:
    """The recorded answer; None where there is none that a new one could be held against.

    An answer to input that was redacted afterwards is no answer to what is sent now.
    """
    if request.outputs is None or any(each.startswith("in/") for each in request.redacted):
        return None
    kept = tuple(tensor for tensor in request.outputs if f"out/{tensor.name}" not in request.redacted)
    apart = taken_apart(kept, request.request.classification)
    return Outcome(request.target, request.model, request.version, request.seconds, apart) if kept else None


def judged(
    expected: Outcome, got: Outcome, section: CompareSection, function: UserFunction | None = None
) -> Difference:
    """Whether the candidate's outcome agrees with what is expected.

    Args:
        expected: the baseline's.
        got: the candidate's.
        section: when they agree.
        function: the user's own, where the section judges by one.
    """
    if expected.failure and got.failure:
        return Difference("agreed")
    if got.failure:
        return Difference("differed", f"the candidate failed: {got.failure}", math.inf)
    if expected.failure:
        return Difference("differed", f"the baseline failed, and the candidate did not: {expected.failure}", math.inf)
    if expected.unreadable:
        return Difference("unreadable", f"the baseline's answer: {expected.unreadable}")
    if got.unreadable:
        return Difference("differed", f"the candidate's answer cannot be read: {got.unreadable}", math.inf)
    return compare_tensors(expected.tensors, got.tensors, section, function)

import math
from typing import Any

import numpy as np
import pytest

from gateway.replay.judge import Outcome, expected_of, judged, outcome_of
from gateway.replay.target import GrpcTarget, HttpTarget, target_of
from gateway.tap.datatypes import Tensor
from gateway.tap.exchange import Answer
from gateway.traffic.mirror_sections import CompareSection
from tests.gateway.replay.model import recorded, reply

Y = Tensor("y", "FP32", (2,), np.array([1, 2], np.float32))
NEAR = Tensor("y", "FP32", (2,), np.array([1, 2.0001], np.float32))
FAR = Tensor("y", "FP32", (2,), np.array([1, 3], np.float32))


def outcome(*tensors: Tensor, **more: Any) -> Outcome:
    return Outcome("it", "m", "", 0.1, tensors, **more)


@pytest.mark.parametrize(
    ("expected", "got", "verdict", "why"),
    [
        (outcome(Y), outcome(NEAR), "agreed", ""),
        (outcome(Y), outcome(FAR), "differed", "off by up to 1"),
        (outcome(failure="no"), outcome(failure="never"), "agreed", ""),
        (outcome(Y), outcome(failure="no"), "differed", "the candidate failed: no"),
        (outcome(failure="no"), outcome(Y), "differed", "the baseline failed, and the candidate did not: no"),
        (outcome(unreadable="cut"), outcome(Y), "unreadable", "the baseline's answer: cut"),
        (outcome(Y), outcome(unreadable="cut"), "differed", "cannot be read: cut"),
    ],
)
def test_two_outcomes(expected: Outcome, got: Outcome, verdict: str, why: str) -> None:
    difference = judged(expected, got, CompareSection())
    assert difference.verdict == verdict
    assert why in difference.reason
    if expected.failure != got.failure and verdict == "differed":
        assert math.isinf(difference.error)


def test_the_recorded_answer_counts_if_it_is_one_to_what_is_sent() -> None:
    expected = expected_of(recorded(1.0, redacted=("parameters",)))
    assert expected is not None
    assert (expected.target, expected.model, expected.seconds) == ("echo-1", "echo", 0.004)
    assert [each.name for each in expected.tensors] == ["y"]
    assert expected_of(recorded(1.0, redacted=("in/x",))) is None
    assert expected_of(recorded(1.0, outputs=None)) is None
    assert expected_of(recorded(1.0, redacted=("out/y",))) is None
    more = expected_of(recorded(1.0, outputs=(Y, Tensor("z", "FP32", (2,), Y.data)), redacted=("out/y",)))
    assert more is not None
    assert [each.name for each in more.tensors] == ["z"]


@pytest.mark.parametrize("url", ["http://localhost:1", "grpc://localhost:1"])
async def test_answers_are_read_by_their_protocol(url: str) -> None:
    target = target_of(url, 1.0, 1)
    assert isinstance(target, HttpTarget | GrpcTarget)
    over_http = isinstance(target, HttpTarget)
    said = reply(over_http, Y)
    length = int(said.metadata[0][1]) if over_http else None
    good = Answer("", "m", "", said.status, bytes(said.body), length, "", "", 0.5)
    assert outcome_of(target, good, {}).tensors[0].data.tolist() == [1, 2]
    cut = Answer("", "m", "", said.status, bytes(said.body[:-1]), length, "", "", 0.5)
    assert outcome_of(target, cut, {}).unreadable
    failed = Answer("", "m", "", 500 if over_http else 13, b"", None, "", "no", 0.5)
    assert outcome_of(target, failed, {}).failure
    await target.aclose()


def test_a_classification_agrees_if_its_class_does_and_its_score_nearly() -> None:
    def answered(element: bytes) -> Outcome | None:
        text = Tensor("y", "BYTES", (1,), np.array([element], object))
        about = recorded(1.0).request
        asks = about.__class__(about.tensors, {}, ("y",), {"y": 1})
        return expected_of(recorded(1.0, request=asks, outputs=(text,)))

    expected = answered(b"0.998123:12:python")
    assert expected is not None
    for element, verdict in (
        (b"0.998122:12:python", "agreed"),
        (b"0.5:12:python", "differed"),
        (b"0.998123:7", "differed"),
    ):
        got = answered(element)
        assert got is not None
        assert judged(expected, got, CompareSection()).verdict == verdict

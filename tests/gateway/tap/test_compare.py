import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.tap.compare import Difference, compare
from gateway.tap.datatypes import DecodedRequest, Tensor
from gateway.tap.exchange import Answer
from gateway.tap.tensors import grpc_request, http_request
from gateway.tap.user_function import UserFunction
from gateway.traffic.mirror_sections import CompareSection
from tests.gateway.tap.bodies import answer, exchange, floats, grpc_response, pair, refusal

BY_ERROR = CompareSection(absolute=0.1, relative=0.0)


def texts(*values: bytes) -> Any:
    return np.array([values], object)


def judged(expected: Any, got: Any, section: CompareSection = BY_ERROR) -> Difference:
    return compare(pair({"y": expected}, {"y": got}), section)


def test_small_errors_agree_and_are_measured() -> None:
    told = judged(floats(1, 2, 3, 4), floats(1, 2, 3, 4.0625))
    assert told.agrees
    assert told.reason == ""
    assert told.error == 0.0625
    output = told.outputs["y"]
    assert (output.max_error, output.mean_error, output.top1, output.elements) == (0.0625, 0.015625, 1.0, 4)
    assert output.cosine == pytest.approx(1.0, abs=1e-3)


def test_large_errors_differ_and_say_where() -> None:
    told = judged(floats(1, 2, 3), floats(1, 2, 3.5))
    assert told.verdict == "differed"
    assert told.reason == "output 'y' has 1 of 3 elements that are off by up to 0.5"
    assert judged(floats(100), floats(101), CompareSection(absolute=0, relative=0.02)).agrees


def test_the_worst_output_is_named() -> None:
    expected, got = {"a": floats(1), "b": floats(1)}, {"a": floats(2), "b": floats(9)}
    told = compare(pair(expected, got), BY_ERROR)
    assert told.reason.startswith("output 'b'")
    assert told.error == 8.0
    assert compare(pair(expected, got), CompareSection(absolute=0.1, ignore=("a", "b"))).agrees


def test_integers_truth_values_and_texts_are_compared_exactly() -> None:
    for section in (BY_ERROR, CompareSection(by="cosine", cosine=-1), CompareSection(by="top1")):
        assert judged(np.array([1, 2]), np.array([1, 2]), section).agrees
        assert judged(texts(b"a", b"b"), texts(b"a", b"b"), section).agrees
        for wrong in (
            judged(np.array([[1, 2, 3]]), np.array([[1, 2, 4]]), section),
            judged(np.array([[True, False]]), np.array([[True, True]]), section),
            judged(texts(b"a", b"b"), texts(b"a", b"c"), section),
        ):
            assert wrong.verdict == "differed"
            assert "elements that are not equal" in wrong.reason
    assert judged(np.array([1, 2]), np.array([1, 5])).outputs["y"].max_error == 3.0
    assert judged(texts(b"a"), texts(b"c")).error == math.inf


def test_cosine_similarity_decides_where_it_is_to() -> None:
    section = CompareSection(by="cosine", cosine=0.9)
    assert judged(floats(1, 2, 3), floats(10, 20, 30), section).agrees
    told = judged(floats(1, 0), floats(0, 1), section)
    assert told.reason == "output 'y' has cosine similarity 0, below 0.9"
    assert told.error == 1.0
    assert not judged(floats(1, 2), floats(1, np.nan), section).agrees
    assert not judged(floats(1), floats(10), section).agrees  # one number has no direction


def test_the_top_class_decides_where_it_is_to() -> None:
    section = CompareSection(by="top1")
    assert judged(floats(1, 2, 3), floats(7, 8, 90), section).agrees
    told = judged(np.array([[1, 2], [2, 1]], np.float32), np.array([[1, 2], [1, 2]], np.float32), section)
    assert told.reason == "output 'y' has another top class in 50.000% of its rows"
    assert told.error == 0.5
    assert not judged(floats(1), floats(10), section).agrees  # one number is no class


@pytest.mark.parametrize(
    ("got", "said"),
    [
        ({}, "output 'y' is missing"),
        ({"y": np.array([[1.0, 2.0]])}, "output 'y' is FP64 instead of FP32"),
        ({"y": np.array([1, 2], np.float32)}, r"output 'y' is [2] instead of [1, 2]"),
        (
            {"y": floats(1, np.inf)},
            "output 'y' has elements that are infinite or not numbers, where others are expected",
        ),
    ],
)
def test_what_a_client_would_notice_differs(got: dict[str, Any], said: str) -> None:
    told = compare(pair({"y": floats(1, 2)}, got), CompareSection(absolute=1e9))
    assert (told.verdict, told.reason, told.error) == ("differed", said, math.inf)


def test_what_is_added_does_no_harm() -> None:
    assert compare(pair({"y": floats(1)}, {"y": floats(1), "z": floats(2)}), BY_ERROR).agrees


def test_empty_outputs_agree() -> None:
    empty = np.zeros((0, 4), np.float32)
    text = np.array(b"1:a", object)
    for section in (BY_ERROR, CompareSection(by="cosine"), CompareSection(by="top1")):
        assert judged(empty, empty, section).agrees
        assert compare(pair({"y:class": text}, {"y:class": text}), section).agrees
    assert judged(np.float32(1), np.float32(1)).agrees  # and scalars


def test_errors_are_answers_too() -> None:
    good, bad = answer({"y": floats(1)}), refusal(503, "busy")
    assert compare(exchange(bad, bad), BY_ERROR).agrees
    told = compare(exchange(good, bad), BY_ERROR)
    assert (told.verdict, told.reason, told.error) == ("differed", "the candidate failed: HTTP 503 busy", math.inf)
    told = compare(exchange(bad, good), BY_ERROR)
    assert told.reason == "the baseline failed, and the candidate did not: HTTP 503 busy"


def test_a_candidate_that_cannot_be_read_differs_and_a_baseline_says_nothing() -> None:
    good, odd = answer({"y": floats(1)}), Answer("m", "m", "", 200, b"\0", None, "", "", 0.0)
    told = compare(exchange(odd, good), BY_ERROR)
    assert (told.verdict, told.reason) == ("unreadable", "the baseline's answer: the answer is no JSON")
    told = compare(exchange(good, odd), BY_ERROR)
    assert told.reason == "the candidate's answer cannot be read: the answer is no JSON"
    assert told.verdict == "differed"
    assert compare(exchange(good), BY_ERROR).verdict == "unreadable"


def test_grpc_is_compared_alike() -> None:
    def over_grpc(*values: float) -> Answer:
        return Answer("m", "m", "", 0, grpc_response({"y": floats(*values)}), None, "", "", 0.0)

    assert compare(exchange(over_grpc(1, 2), over_grpc(1, 2), protocol="grpc"), BY_ERROR).agrees
    assert not compare(exchange(over_grpc(1, 2), over_grpc(1, 3), protocol="grpc"), BY_ERROR).agrees


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_classifications_are_scores_and_classes(protocol: Any) -> None:
    request = DecodedRequest((Tensor("x", "FP32", (1,), np.ones(1, np.float32)),), {}, ("label",), {"label": 2})
    body, length = (grpc_request("m", "", request), None) if protocol == "grpc" else http_request(request)

    def told(*elements: bytes, **section: Any) -> Difference:
        said = [{"label": texts(b"0.9:1:cat", b"0.1:0:dog")}, {"label": texts(*elements)}]
        if protocol == "grpc":
            answers = [Answer("m", "m", "", 0, grpc_response(each), None, "", "", 0.0) for each in said]
        else:
            answers = [answer(each) for each in said]
        asked = exchange(*answers, protocol=protocol, request=body, header_length=length)
        return compare(asked, CompareSection(absolute=0.01, **section))

    near = told(b"0.90625:1:cat", b"0.1:0:dog")
    assert near.agrees
    assert near.error == pytest.approx(0.00625, rel=1e-4)
    assert sorted(near.outputs) == ["label", "label:class"]
    assert told(b"0.7:1:cat", b"0.3:0:dog").reason.startswith("output 'label' has 2 of 2 elements that are off")
    other = (b"0.9:0:dog", b"0.1:1:cat")
    assert told(*other).reason == "output 'label:class' has 2 of 2 elements that are not equal"
    assert told(*other, ignore=("label:class",)).agrees
    assert told(*other, ignore=("label",)).agrees
    assert not told(*other, by="top1").agrees
    assert not told(b"0.9:1:cat", b"0.1:2:cow").agrees
    assert told(b"0.9:1:cat", b"0.1:2:cow", by="top1").agrees


def test_texts_are_compared_as_such_where_no_classes_were_asked_for() -> None:
    two = answer({"label": texts(b"0.9:1:cat")}), answer({"label": texts(b"0.90001:1:cat")})
    assert not compare(exchange(*two), BY_ERROR).agrees
    assert not compare(exchange(*two, request=b"raw", header_length=0), BY_ERROR).agrees


def test_a_function_of_the_user_has_the_last_word(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "def near(expected, got):\n"
        "    return 1 - float(abs(expected['y'] - got['y']).max())\n"
        "def broken(expected, got):\n"
        "    return expected['z']\n"
    )
    section = CompareSection(by="function", function=f"{tmp_path}/mine.py:near", least=90)
    near = UserFunction(section.function, 0.9)
    exact = pair({"y": floats(1, 2), "n": np.array([1])}, {"y": floats(1, 2.0625), "n": np.array([2])})
    assert compare(exact, section, near).agrees
    told = compare(pair({"y": floats(1)}, {"y": floats(1.5)}), section, near)
    assert told.verdict == "differed"
    assert told.error == 0.5
    assert told.reason.endswith("mine.py:near says 0.5")
    told = compare(exact, section, UserFunction(f"{tmp_path}/mine.py:broken", 0.9))
    assert told.verdict == "unreadable"
    assert told.reason.endswith("mine.py:broken failed in line 4 with KeyError: 'z'")

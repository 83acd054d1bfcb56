import json
import math
import os
import random
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.tap import kept
from gateway.tap.compare import compare
from gateway.tap.datatypes import Undecodable
from gateway.tap.exchange import Exchange
from gateway.tap.kept import Keep
from gateway.tap.recording.segment import SegmentName, decoded
from gateway.tap.sections import RedactSection
from gateway.traffic.mirror_sections import CompareSection
from tests.gateway.tap.bodies import answer, exchange, floats, pair, refusal

HIDDEN = RedactSection()


def offer(keep: Keep, given: Exchange) -> None:
    keep.offer(given, compare(given, CompareSection()))


def numbered(number: int, **changed: Any) -> Exchange:
    return pair({"y": floats(1, 2)}, {"y": floats(1, 3)}, arrived=10**18 + number, **changed)


def files(folder: Path, suffix: str) -> list[Path]:
    return sorted((folder / "differing").glob(f"*/*{suffix}"))


def test_a_request_is_kept_so_that_a_replay_can_read_it(tmp_path: Path) -> None:
    given = pair({"y": floats(1, 2), "t": np.array([b"a\xff"], object)}, {"y": floats(1, np.inf)})
    offer(Keep(tmp_path, 5, HIDDEN), given)
    [lines], [tensors] = files(tmp_path, ".jsonl"), files(tmp_path, ".safetensors")
    assert lines.parent.name == "ocr"
    assert lines.stem == tensors.stem
    assert stat.S_IMODE(lines.stat().st_mode) == 0o600
    assert stat.S_IMODE(lines.parent.stat().st_mode) == 0o700
    [request] = decoded(tensors.read_bytes(), lines.read_bytes())
    assert (request.model, request.request_id, request.tenant) == ("ocr", "", "")
    assert [each.data.tolist() for each in request.request.tensors] == [[[1.0, 1.0, 1.0]]]
    assert request.outputs is not None
    assert request.outputs[0].data.tolist() == [[1.0, 2.0]]


def test_what_must_not_be_recorded_is_not_kept_either(tmp_path: Path) -> None:
    redact = RedactSection(inputs=("x",), outputs=("sec*",), request_id=False, tenant=False)
    two = [{"y": floats(1), "secret": floats(7)}, {"y": floats(2), "secret": floats(8)}]
    offer(Keep(tmp_path, 5, redact), pair(*two))
    [lines], [tensors], [summary] = (files(tmp_path, suffix) for suffix in (".jsonl", ".safetensors", ".json"))
    [request] = decoded(tensors.read_bytes(), lines.read_bytes())
    assert (request.request_id, request.tenant) == ("r1", "t")
    assert request.redacted == ("in/x", "out/secret")
    assert not request.request.tensors[0].data.any()
    told = json.loads(summary.read_text())
    for side, value in (("baseline", 1), ("candidate", 2)):
        assert told[side]["outputs"]["y"]["first"] == [value]
        assert told[side]["outputs"]["secret"] == {"datatype": "FP32", "shape": [1, 1], "redacted": True}


def test_both_answers_are_told_in_short(tmp_path: Path) -> None:
    expected = {"y": floats(1, 2), "t": np.array([b"a\xff" * 99], object)}
    offer(Keep(tmp_path, 5, HIDDEN), pair(expected, {"y": floats(1, math.nan)}))
    [path] = files(tmp_path, ".json")
    told = json.loads(path.read_text())
    assert told["reason"] == "output 'y' has elements that are infinite or not numbers, where others are expected"
    assert told["error"] is None
    assert told["differences"]["y"]["mismatched"] == 1
    assert told["baseline"]["outputs"]["y"] == {
        "datatype": "FP32", "shape": [1, 2], "least": 1.0, "most": 2.0, "mean": 1.5, "first": [1.0, 2.0]
    }  # fmt: skip
    assert len(told["baseline"]["outputs"]["t"]["first"][0]) == 20 * 5
    assert told["candidate"]["outputs"]["y"]["first"] == [1.0, None]


def test_answers_that_are_errors_are_told_too(tmp_path: Path) -> None:
    keep = Keep(tmp_path, 5, HIDDEN)
    offer(keep, exchange(answer({"y": floats(1)}), refusal(503, "busy")))
    offer(keep, exchange(refusal(400, "odd"), answer({"y": floats(1)}), arrived=10**18))
    told = [json.loads(path.read_text()) for path in files(tmp_path, ".json")]
    assert [(each["baseline"]["failure"], each["candidate"]["failure"]) for each in told] == [
        ("HTTP 400 odd", ""), ("", "HTTP 503 busy")
    ]  # fmt: skip
    [first, _] = [
        decoded(tensors.read_bytes(), lines.read_bytes())[0]
        for tensors, lines in zip(files(tmp_path, ".safetensors"), files(tmp_path, ".jsonl"), strict=True)
    ]
    assert first.outputs is None


def test_never_more_than_so_many_and_each_with_the_same_chance(tmp_path: Path) -> None:
    late = 0
    for seed in range(40):
        folder = tmp_path / str(seed)
        keep = Keep(folder, 3, HIDDEN, chance=random.Random(seed))  # noqa: S311
        for number in range(30):
            offer(keep, numbered(number))
            assert keep.count == min(number + 1, 3)
        stems = [path.stem for path in files(folder, ".jsonl")]
        assert len(stems) == len(files(folder, ".json")) == len(files(folder, ".safetensors")) == 3
        late += sum(int(stem.partition("-")[0]) // 10**7 >= 10**18 + 15 for stem in stems)
    assert 40 <= late <= 80  # of 120 half are expected


def test_a_restart_goes_on_with_what_is_there(tmp_path: Path) -> None:
    for number in range(4):
        offer(Keep(tmp_path, 4, HIDDEN), numbered(number))
    assert len(files(tmp_path, ".jsonl")) == 4
    offer(Keep(tmp_path, 2, HIDDEN), numbered(5))
    assert len(files(tmp_path, ".jsonl")) == len(files(tmp_path, ".safetensors")) == 2
    many = Keep(tmp_path, 2, HIDDEN, seen=10**9, chance=random.Random(0))  # noqa: S311
    before = files(tmp_path, ".jsonl")
    offer(many, numbered(6))
    assert files(tmp_path, ".jsonl") == before
    assert many.count == 2


def test_bytes_are_bounded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "_MOST_BYTES", 5000)
    keep = Keep(tmp_path, 50, HIDDEN)
    for number in range(10):
        offer(keep, numbered(number))
    assert 0 < keep.count < 5
    assert sum(path.stat().st_size for path in files(tmp_path, "")) <= 5000
    monkeypatch.setattr(kept, "_MOST_OF_ONE", 10)
    before = keep.count
    offer(keep, numbered(11))
    assert keep.count == before


def test_what_cannot_be_written_takes_nothing_away(tmp_path: Path) -> None:
    keep = Keep(tmp_path, 3, HIDDEN)
    for number in range(3):
        offer(keep, numbered(number))
    before = files(tmp_path, "")
    keep._seen = 0  # so that the next is to be kept
    name = SegmentName(10**7 * (10**18 + 9) + os.getpid() % 10**7, 1)
    (before[0].parent / f".{name}.jsonl").mkdir()
    with pytest.raises(OSError, match="directory"):
        offer(keep, numbered(9))
    assert [path for path in files(tmp_path, "") if path.is_file()] == before
    assert keep.count == 3


def test_the_same_request_is_kept_once(tmp_path: Path) -> None:
    keep = Keep(tmp_path, 3, HIDDEN)
    offer(keep, numbered(1))
    offer(keep, numbered(1))
    assert (keep.count, len(files(tmp_path, ".jsonl"))) == (1, 1)


def test_names_never_leave_the_folder(tmp_path: Path) -> None:
    offer(Keep(tmp_path / "pair", 5, HIDDEN), numbered(1, model="../../../x"))
    assert [path.name for path in tmp_path.iterdir()] == ["pair"]
    [path] = files(tmp_path / "pair", ".jsonl")
    assert path.parent.name == "%2E.%2F..%2F..%2Fx"


def test_what_holds_no_tensors_or_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(Undecodable, match="the request is raw"):
        offer(Keep(tmp_path, 5, HIDDEN), numbered(1, header_length=0))
    (tmp_path / "differing").write_text("in the way")
    with pytest.raises(OSError, match="differing"):
        offer(Keep(tmp_path, 5, HIDDEN), numbered(1))

import json
import struct
from typing import Any

from gateway.triton import trial

FP32 = {"name": "X", "datatype": "FP32", "shape": [2], "data": [1.0, 2.0]}


def split(body: bytes, headers: Any) -> tuple[Any, bytes]:
    length = int(headers["inference-header-content-length"])
    return json.loads(body[:length]), body[length:]


def test_inputs_travel_as_they_are_and_outputs_are_asked_for_as_bytes() -> None:
    head, tail = split(*trial.request([FP32]))
    assert head == {"inputs": [FP32], "parameters": {"binary_data_output": True}}
    assert tail == b""


def test_halves_travel_behind_the_head() -> None:
    half = {"name": "H", "datatype": "FP16", "shape": [1, 2], "data": [[1.0, -2.0]]}
    brain = {"name": "B", "datatype": "BF16", "shape": [1], "data": [1.5]}
    head, tail = split(*trial.request([half, FP32, brain]))
    assert [each.get("parameters") for each in head["inputs"]] == [
        {"binary_data_size": 4},
        None,
        {"binary_data_size": 2},
    ]
    assert "data" not in head["inputs"][0]
    assert struct.unpack("<2e", tail[:4]) == (1.0, -2.0)
    assert struct.unpack("<f", b"\0\0" + tail[4:]) == (1.5,)


def test_a_request_can_be_a_whole_sequence() -> None:
    head, _ = split(*trial.request([FP32], sequence=True))
    assert head["parameters"]["sequence_start"] is head["parameters"]["sequence_end"] is True


def test_outputs_are_counted_with_and_without_bytes_behind_the_head() -> None:
    answer = json.dumps({"outputs": [{"name": "Y"}, {"name": "Z"}]}).encode()
    assert trial.outputs_of(answer, {}) == 2
    assert trial.outputs_of(answer + b"\1\2", {"inference-header-content-length": str(len(answer))}) == 2
    assert trial.outputs_of(b"{}", {}) == 0


def test_an_error_is_what_triton_says_or_all_that_it_sent() -> None:
    assert trial.error_of(b'{"error": "unexpected shape"}') == "unexpected shape"
    assert trial.error_of(b"<html>") == "<html>"
    assert trial.error_of(b"") == "it answered nothing"

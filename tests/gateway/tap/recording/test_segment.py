import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open

from gateway.tap.datatypes import DecodedRequest, Undecodable
from gateway.tap.recording.segment import Damaged, Recorded, SegmentName, check, decoded, encoded
from tests.gateway.tap.recording.requests import ARRIVED, recorded, tensor

EVERYTHING = (
    tensor("FP32", "FP32", [[1.5, -2.25], [3.0, 0.1]]),
    tensor("FP16", "FP16", [1.5]),
    tensor("BF16", "BF16", [1.5, -3.0]),
    tensor("FP64", "FP64", [0.1]),
    tensor("BOOL", "BOOL", [[True], [False]]),
    tensor("words", "BYTES", [["grüße".encode()], [b""]]),
    tensor("no words", "BYTES", np.empty((0, 2), object)),
    tensor("nothing", "INT8", np.empty((0, 4))),
    tensor("scalar", "UINT64", 2**64 - 1),
    tensor("a/b", "INT32", [-1]),
)


def same(one: Recorded, other: Recorded) -> bool:
    """Whether two requests are the same, tensors by their elements."""

    def plain(request: Recorded) -> Any:
        def of(tensors: Any) -> Any:
            return [(t.name, t.datatype, t.shape, t.data.dtype, t.data.tolist()) for t in tensors]

        about = request.request
        outputs = None if request.outputs is None else of(request.outputs)
        rest = (request.model, request.version, request.protocol, request.arrived, request.redacted, request.seconds)
        asked = (of(about.tensors), about.parameters, about.outputs, about.classification, about.generate)
        return asked, outputs, rest, request.request_id, request.tenant, request.target

    return bool(plain(one) == plain(other))


def test_everything_comes_back() -> None:
    about = DecodedRequest(EVERYTHING, {"a": 1, "b": "x", "c": True}, ("y",), {"y": 5})
    full = recorded(
        5, request=about, outputs=EVERYTHING, version="3", protocol="grpc", redacted=("in/x",), request_id="r",
        tenant="t", target="ocr-3", seconds=0.25,
    )  # fmt: skip
    bare = recorded(1, outputs=None)
    first, second = decoded(*encoded([full, bare]))
    assert same(first, bare)
    assert same(second, full)


def test_the_files_are_what_the_format_says(tmp_path: Any) -> None:
    tensors, lines = encoded([recorded(2000, request=DecodedRequest(EVERYTHING, {}, ()))])
    (tmp_path / "it.safetensors").write_bytes(tensors)
    with safe_open(tmp_path / "it.safetensors", "np") as file:
        kinds = {key: file.get_slice(key).get_dtype() for key in file.keys()}  # noqa: SIM118 - it is no mapping
        assert file.get_tensor("0/in/words").tobytes() == b"\x07\0\0\0" + "grüße".encode() + b"\0\0\0\0"
        assert file.get_tensor("0/in/FP32").tolist() == EVERYTHING[0].data.tolist()
    assert kinds["0/in/BF16"] == "BF16"
    assert kinds["0/in/FP16"] == "F16"
    assert kinds["0/in/BOOL"] == "BOOL"
    assert kinds["0/out/y"] == "I64"
    [line] = lines.splitlines()
    told = json.loads(line)
    assert told["format"] == 1
    assert told["arrived"] == "2026-01-31T12:00:00.123459Z"
    assert told["arrived_ns"] == ARRIVED + 2000
    assert told["inputs"][0] == {"name": "FP32", "datatype": "FP32", "shape": [2, 2]}


def test_names_sort_as_requests_came_and_say_how_many_there_are() -> None:
    name = SegmentName.of([recorded(7), recorded(3)], 4711)
    assert str(name) == f"{ARRIVED + 3}0004711-2"
    assert SegmentName.parsed(str(name)) == name
    assert name.arrived == ARRIVED + 3
    assert [SegmentName.parsed(other) for other in ("", "a-1", "notes", "1-2", f"{name}-1")] == [None] * 5


@given(st.integers(0, 2**62), st.integers(0, 4_194_304), st.integers(1, 10**6))
def test_any_name_is_read_back(arrived: int, pid: int, requests: int) -> None:
    name = SegmentName(arrived * 10**7 + pid, requests)
    parsed = SegmentName.parsed(str(name))
    assert parsed == (name if len(str(name.number)) >= 8 else None)


@given(st.lists(st.tuples(st.text(max_size=8), st.binary(max_size=9)), unique_by=lambda each: each[0], max_size=4))
def test_any_names_and_texts_come_back_or_are_refused(pairs: list[tuple[str, bytes]]) -> None:
    request = recorded(request=DecodedRequest(tuple(tensor(n, "BYTES", [b]) for n, b in pairs), {}, ()))
    [back] = decoded(*encoded([request]))
    assert same(back, request)


@pytest.mark.parametrize(
    "request_",
    [
        DecodedRequest((EVERYTHING[0], EVERYTHING[0]), {}, ()),
        DecodedRequest((tensor("half \ud800", "INT8", [1]),), {}, ()),
        DecodedRequest((), {"p": "\ud800"}, ()),
        DecodedRequest((), {"p": object()}, ()),
    ],
)
def test_what_no_segment_can_hold_is_refused(request_: DecodedRequest) -> None:
    with pytest.raises(Undecodable):
        check(recorded(request=request_))
    with pytest.raises(Undecodable):
        encoded([recorded(), recorded(request=request_)])


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (b'"format":1', b'"format":2', "of format 2, and this version reads 1"),
        (b'"n":0', b'"n":"0"', "line that is none of a request"),
        (b'"n":0', b'"n":8', "lacks the tensor '8/in/x'"),
        (b"[1]", b"[2]", "has 4 bytes"),
        (b'"FP32"', b'"FP8"', "unknown datatype"),
        (b'{"format"', b'{"form', "line that is none of a request"),
        (b'"ocr"', b'"\xff"', "line that is none of a request"),
    ],
)
def test_damaged_lines_are_told(before: bytes, after: bytes, told: str) -> None:
    tensors, lines = encoded([recorded()])
    with pytest.raises(Damaged, match=None) as caught:
        decoded(tensors, lines.replace(before, after))
    assert told in str(caught.value)


def test_damaged_tensors_are_told() -> None:
    tensors, lines = encoded([recorded()])
    with pytest.raises(Damaged, match="cannot be read"):
        decoded(tensors[:-1], lines)


def test_keys_that_are_not_known_are_passed_over() -> None:
    tensors, lines = encoded([recorded()])
    [back] = decoded(tensors, lines.replace(b'{"format"', b'{"new":[1],"format"'))
    assert same(back, recorded())


def test_sizes_are_those_of_the_tensors() -> None:
    assert recorded(outputs=None).size == 4
    assert recorded().size == 12
    assert recorded(outputs=(tensor("w", "BYTES", [b"abc", b""]),)).size == 4 + 11

import gzip
import json
import zlib
from typing import Any

import numpy as np
import pytest

from gateway.tap import http_bodies
from gateway.tap.datatypes import DecodedRequest, Tensor, Undecodable
from tests.gateway.tap.bodies import floats, http_body


def tensors(body: bytes, header_length: int | None, place: str = "outputs") -> tuple[Tensor, ...]:
    head, length = http_bodies.head_of(body, header_length, "the answer")
    return http_bodies.tensors_of(head, place, memoryview(body)[length:], "the answer")


def test_binary_tensors_and_lists_stand_side_by_side() -> None:
    body, length = http_body({"a": floats(1, 2)})
    head = json.loads(body[:length])
    head["outputs"].insert(0, {"name": "b", "datatype": "INT64", "shape": [2], "data": [3, 4]})
    text = json.dumps(head).encode()
    read = tensors(text + body[length:], len(text))
    assert [(each.name, each.datatype, each.shape, each.data.tolist()) for each in read] == [
        ("b", "INT64", (2,), [3, 4]),
        ("a", "FP32", (1, 2), [[1.0, 2.0]]),
    ]


def test_numbers_that_json_has_not_are_read_as_triton_writes_them() -> None:
    body = b'{"outputs":[{"name":"y","datatype":"FP32","shape":[3],"data":[NaN,Infinity,-Infinity]}]}'
    [tensor] = tensors(body, None)
    assert np.isnan(tensor.data[0])
    assert tensor.data[1:].tolist() == [np.inf, -np.inf]


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("", bytes)])
def test_bodies_are_decompressed(encoding: str, compress: Any) -> None:
    assert http_bodies.plain(compress(b"abc" * 1000), encoding, "it") == b"abc" * 1000


def test_what_cannot_be_decompressed_is_refused() -> None:
    for body, encoding, said in (
        (b"abc", "br", "unknown encoding 'br'"),
        (b"abc", "gzip", "is not gzip"),
        (gzip.compress(b"abc")[:-4], "gzip", "cut short"),
    ):
        with pytest.raises(Undecodable, match=said):
            http_bodies.plain(body, encoding, "it")


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_bodies, "_MOST_DECOMPRESSED", 2**20)
    assert len(http_bodies.plain(zlib.compress(bytes(2**20)), "deflate", "it")) == 2**20
    with pytest.raises(Undecodable, match="more than 1 MiB"):
        http_bodies.plain(zlib.compress(bytes(2**20 + 1)), "deflate", "it")


@pytest.mark.parametrize(
    ("body", "length", "said"),
    [
        (b"abc", 0, "is raw"),
        (b"{}", 5, "ends inside its JSON head"),
        (b"{", None, "is no JSON"),
        (b"\xff\xff", None, "is no JSON"),
        (b"[" * 100_000, None, "is no JSON"),
        (b"[]", None, "is no JSON object"),
        (b"{}abc", 2, "has 3 bytes more than its outputs"),
        (b'{"outputs":[1]}', None, "without name, datatype or shape"),
        (b'{"outputs":[{"name":"y"}]}', None, "without name, datatype or shape"),
        (b'{"outputs":7}', None, "without name, datatype or shape"),
        (b'{"outputs":[{"name":"y","datatype":"FP32","shape":[1]}]}', None, "output 'y' of the answer has no data"),
    ],
)
def test_broken_bodies_are_told(body: bytes, length: int | None, said: str) -> None:
    with pytest.raises(Undecodable, match=said):
        tensors(body, length)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"binary_data_size": 9}, "ends too early"),
        ({"binary_data_size": -1}, "impossible binary_data_size"),
        ({"binary_data_size": True}, "impossible binary_data_size"),
        ({"shared_memory_region": "r"}, "travelled through shared memory"),
    ],
)
def test_broken_tensors_are_told(parameters: dict[str, Any], said: str) -> None:
    entry = {"name": "y", "datatype": "FP32", "shape": [1], "parameters": parameters}
    text = json.dumps({"outputs": [entry]}).encode()
    with pytest.raises(Undecodable, match=said):
        tensors(text + b"\0\0\0\0", len(text))


def test_members_of_generate_answers_are_tensors() -> None:
    head = {
        "model_name": "m", "id": "1", "text_output": "hello", "score": 0.5, "n": 3, "done": True,
        "tokens": [1, 2], "logprobs": [1, 2.5], "none": None, "more": {"b": 1, "a": [2]}, "empty": [],
    }  # fmt: skip
    read = {
        each.name: (each.datatype, each.shape, each.data.tolist()) for each in http_bodies.member_tensors(head, "it")
    }
    assert read == {
        "text_output": ("BYTES", (), b"hello"),
        "score": ("FP64", (), 0.5),
        "n": ("INT64", (), 3),
        "done": ("BOOL", (), True),
        "tokens": ("INT64", (2,), [1, 2]),
        "logprobs": ("FP64", (2,), [1.0, 2.5]),
        "none": ("BYTES", (), b"null"),
        "more": ("BYTES", (), b'{"a": [2], "b": 1}'),
        "empty": ("BYTES", (), b"[]"),
    }


def test_what_is_asked_for_is_read() -> None:
    head = {"outputs": [{"name": "a"}, {"name": "b", "parameters": {"classification": 3}}, {"x": 1}, 7]}
    assert http_bodies.requested(head) == (("a", "b"), {"b": 3})
    assert http_bodies.requested({}) == ((), {})
    assert http_bodies.parameters_of({"parameters": [1]}) == {}
    assert http_bodies.is_inference(head | {"inputs": []}, "inputs")
    assert not http_bodies.is_inference({"inputs": ["a prompt"]}, "inputs")
    assert not http_bodies.is_inference({"text_input": "a"}, "inputs")


def test_a_request_is_written_in_binary() -> None:
    texts = np.array([b"a", b""], object)
    asked = DecodedRequest(
        (Tensor("x", "FP32", (1, 2), floats(1, 2)), Tensor("t", "BYTES", (2,), texts)),
        {"priority": 2, "binary_data_output": False}, ("y", "z"), {"z": 5},
    )  # fmt: skip
    body, length = http_bodies.http_request(asked)
    head = json.loads(body[:length])
    assert head["parameters"] == {"priority": 2, "binary_data_output": True}
    assert head["outputs"] == [{"name": "y"}, {"name": "z", "parameters": {"classification": 5}}]
    assert [each.data.tolist() for each in tensors(body, length, "inputs")] == [[[1.0, 2.0]], [b"a", b""]]


def test_a_generate_request_is_json_again() -> None:
    head = {"text_input": "héllo", "n": 3, "stop": ["a", "b"]}
    asked = DecodedRequest(http_bodies.member_tensors(head, "it"), {"temperature": 0.5}, (), generate=True)
    assert json.loads(http_bodies.generate_request(asked)) == head | {"parameters": {"temperature": 0.5}}
    odd = Tensor("x", "BYTES", (), np.array(b"\xff", object))
    with pytest.raises(Undecodable, match="'x' is not UTF-8"):
        http_bodies.generate_request(DecodedRequest((odd,), {}, ()))

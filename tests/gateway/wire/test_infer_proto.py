from __future__ import annotations

import contextlib

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2 as pb

from gateway.core.call import Sequence
from gateway.core.errors import Forbidden, GatewayError, InvalidRequest, MalformedMessage
from gateway.wire import infer_proto
from gateway.wire.protobuf import length_delimited


def request(**parameters: bool | int | str | float) -> pb.ModelInferRequest:
    message = pb.ModelInferRequest(model_name="m", id="i")
    for name in ("A", "B"):
        message.inputs.add(name=name, datatype="FP32", shape=[1, 2])
    message.outputs.add(name="Y")
    message.raw_input_contents.extend([bytes(8), b"\x0a\x01x" * 100])
    for name, value in parameters.items():
        kind = {bool: "bool_param", int: "int64_param", str: "string_param", float: "double_param"}[type(value)]
        setattr(message.parameters[name], kind, value)
    return message


def read(message: pb.ModelInferRequest | bytes, *, shared: bool = False) -> Sequence | None:
    data = message if isinstance(message, bytes) else message.SerializeToString()
    return infer_proto.read(data, shared)[3]


def test_a_request_as_clients_write_it_is_let_through() -> None:
    message = request(priority=1, timeout=1_000, mine="yes", binary_data_output="a word of the client's own", ratio=0.5)
    message.parameters["priority"].uint64_param = 2**63
    data = message.SerializeToString()
    assert infer_proto.read(data, False) == ("m", "", "i", None)
    assert infer_proto.read(bytearray(data), False) == ("m", "", "i", None)


@pytest.mark.parametrize(
    ("parameters", "sequence"),
    [
        ({"sequence_id": 5, "sequence_start": True}, Sequence("5", start=True)),
        ({"sequence_id": "s", "sequence_end": True}, Sequence("s", end=True)),
        ({"sequence_id": -1}, Sequence(str(2**64 - 1))),  # 64 bits without a sign, as Triton takes it
        ({"sequence_id": 0, "sequence_start": True}, None),
        ({"sequence_start": False}, None),
    ],
)
def test_a_sequence_is_told(parameters: dict[str, bool | int | str], sequence: Sequence | None) -> None:
    assert read(request(**parameters)) == sequence


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"triton_x": 1}, r"parameters\.triton_x is reserved"),
        ({"headers": "h"}, r"parameters\.headers is reserved"),
        ({"sequence_id": True}, "sequence_id must be"),
        ({"sequence_id": 1.0}, "sequence_id must be"),
        ({"sequence_start": 1}, "sequence_start must be"),
        ({"timeout": -1}, "timeout must be"),
        ({"priority": "1"}, "priority must be"),
    ],
)
def test_what_is_not_the_clients_to_say_is_refused(parameters: dict[str, bool | int | str], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        read(request(**parameters))


def test_a_client_may_ask_for_the_last_response() -> None:
    assert read(request(triton_enable_empty_final_response=True, sequence_id=1)) == Sequence("1")
    with pytest.raises(InvalidRequest, match="reserved"):
        read(request(triton_enable_empty_final_response=1))


def entry(*fields: bytes) -> bytes:
    return length_delimited(4, b"".join(fields))


def test_of_a_parameter_that_is_given_twice_the_last_one_counts_as_in_protobuf() -> None:
    key = length_delimited(1, b"sequence_id")
    one, two = (length_delimited(2, pb.InferParameter(int64_param=n).SerializeToString()) for n in (1, 2))
    text = length_delimited(2, pb.InferParameter(string_param="t").SerializeToString())
    for message, value in (
        (entry(key, one) + entry(key, two), "2"),
        (entry(key, one, two), "2"),
        (entry(two, key), "2"),
        (entry(length_delimited(1, b"triton_x"), key, text, one), "1"),
        (entry(key, one, text), "t"),
    ):
        assert read(message) == Sequence(value)
        parsed = pb.ModelInferRequest.FromString(message).parameters["sequence_id"]
        assert str(getattr(parsed, str(parsed.WhichOneof("parameter_choice")))) == value


@pytest.mark.parametrize("place", ["inputs", "outputs"])
def test_shared_memory_needs_the_switch(place: str) -> None:
    message = request()
    tensor = message.outputs[0] if place == "outputs" else message.inputs[1]
    tensor.parameters["mine"].int64_param = 8
    tensor.parameters["shared_memory_region"].string_param = "r"
    with pytest.raises(Forbidden, match=rf"{place}\[\d\]\.parameters\.shared_memory_region"):
        read(message)
    assert read(message, shared=True) is None


def test_the_words_for_shared_memory_may_be_a_tensors_value() -> None:
    message = request()
    del message.raw_input_contents[:]
    message.inputs[0].contents.bytes_contents.append(b"shared_memory_region")
    message.inputs[0].parameters["x"].string_param = "shared_memory_region"
    assert read(message) is None


def test_two_outputs_of_one_name_are_refused() -> None:
    message = request()
    message.outputs.add(name="Z")
    assert read(message) is None
    message.outputs.add(name="Y")
    with pytest.raises(InvalidRequest, match="outputs: 'Y' is given twice"):
        read(message)


def test_broken_parts_are_refused() -> None:
    for field in (entry(b"\x0a\x05x"), length_delimited(5, b"shared_memory_\xff\xff"), entry(b"\x0a\x01a")[:-1]):
        with pytest.raises(MalformedMessage, match="Unable to parse request"):
            read(request().SerializeToString() + field)
    value = length_delimited(2, length_delimited(3, b"\xff"))
    with pytest.raises(InvalidRequest, match=r"parameters\.sequence_id is not UTF-8"):
        read(entry(length_delimited(1, b"sequence_id"), value))


PIECES = st.sampled_from(
    [
        b"\x0a\x01m",
        b"\x12\x011",
        b"\x1a\x01i",
        b"\x8a\x00\x01x",
        b"\x8a\x80\x80\x80\x10\x01x",
        b"\x08\x05",
        b"\x3a\x03abc",
        b"\xa2\x06\x01z",
        b"\x0b\x0c",
        b"\x02\x00",
        *(part.SerializeToString() for part in (request(sequence_id=1), request(mine="x"), request(triton_x=True))),
        b"",
    ]
)


@settings(max_examples=400)
@given(st.lists(PIECES | st.binary(max_size=4), max_size=5).map(b"".join))
def test_what_is_let_through_is_read_as_protobuf_reads_it(message: bytes) -> None:
    with contextlib.suppress(GatewayError):
        model, version, request_id, sequence = infer_proto.read(message, False)
        try:
            parsed = pb.ModelInferRequest.FromString(message)
        except DecodeError:
            return  # Triton refuses it, too
        assert (model, version, request_id) == (parsed.model_name, parsed.model_version, parsed.id)
        number = parsed.parameters["sequence_id"].int64_param if "sequence_id" in parsed.parameters else 0
        assert (sequence.id if sequence else "0") == str(number)
        assert not any(name.startswith("triton_") for name in parsed.parameters)


MUTATED = request(sequence_id="s", timeout=5)
MUTATED.inputs[0].parameters["shared_memory_region"].string_param = "r"
MUTATED.outputs.add(name="Z")


@settings(max_examples=400)
@given(st.integers(0, 160), st.binary(max_size=3), st.integers(0, 3))
def test_mutated_requests_are_read_as_protobuf_reads_them_or_refused(place: int, noise: bytes, gone: int) -> None:
    message = MUTATED.SerializeToString(deterministic=True)
    message = message[:place] + noise + message[place + gone :]
    with contextlib.suppress(GatewayError, DecodeError):
        head = infer_proto.read(message, False)
        parsed = pb.ModelInferRequest.FromString(message)
        assert head[:3] == (parsed.model_name, parsed.model_version, parsed.id)
        tensors = [*parsed.inputs, *parsed.outputs]
        assert not any(name.startswith("shared_memory_") for tensor in tensors for name in tensor.parameters)
        assert len({output.name for output in parsed.outputs}) == len(parsed.outputs)

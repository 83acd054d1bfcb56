import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import model_config_pb2, service_pb2

from gateway.core.call import Operation
from gateway.core.errors import MalformedMessage, UpstreamBroken
from gateway.wire.protobuf import encode_varint, length_delimited
from gateway.wire.rename_grpc import reply_for, request, stream_reply, words

NAMES = st.text(max_size=200)
TENSORS = st.lists(st.binary(max_size=300), max_size=4)
# Fields that a message of the service may have besides: of all wire types, and with numbers up to the largest.
NUMBERS = st.integers(3, 2**29 - 1)
OTHERS = st.one_of(
    st.builds(
        lambda number, value: encode_varint(number << 3) + encode_varint(value), NUMBERS, st.integers(0, 2**64 - 1)
    ),
    st.builds(lambda number, data: encode_varint(number << 3 | 1) + data, NUMBERS, st.binary(min_size=8, max_size=8)),
    st.builds(lambda number, data: encode_varint(number << 3 | 5) + data, NUMBERS, st.binary(min_size=4, max_size=4)),
    st.builds(
        lambda number, data: encode_varint(number << 3 | 2) + encode_varint(len(data)) + data,
        NUMBERS,
        st.binary(max_size=300),
    ),
)


def infer_request(model: str, version: str, tensors: list[bytes]) -> service_pb2.ModelInferRequest:
    message = service_pb2.ModelInferRequest(model_name=model, model_version=version, id="7")
    message.parameters["priority"].int64_param = 3
    for index, tensor in enumerate(tensors):
        message.inputs.add(name=f"x{index}", datatype="UINT8", shape=[len(tensor)])
        message.raw_input_contents.append(tensor)
    return message


def infer_response(model: str, tensors: list[bytes]) -> service_pb2.ModelInferResponse:
    message = service_pb2.ModelInferResponse(model_name=model, model_version="1", id="7")
    for tensor in tensors:
        message.outputs.add(name="y", datatype="UINT8", shape=[len(tensor)])
        message.raw_output_contents.append(tensor)
    return message


@given(NAMES, NAMES, NAMES, NAMES, TENSORS)
def test_a_request_is_about_another_model_as_protobuf_sees_it(
    model: str, version: str, other: str, later: str, tensors: list[bytes]
) -> None:
    before, wanted = infer_request(model, version, tensors), infer_request(other, later, tensors)
    renamed = request(before.SerializeToString(), other, later)
    assert service_pb2.ModelInferRequest.FromString(renamed) == wanted
    assert request(bytearray(before.SerializeToString()), other, later) == renamed


@given(NAMES, NAMES, NAMES, NAMES, st.lists(OTHERS, max_size=8), st.randoms())
def test_in_any_order_of_fields_all_others_stay_byte_for_byte(
    model: str, version: str, other: str, later: str, fields: list[bytes], chance: Any
) -> None:
    head = [length_delimited(1, model.encode())] if model else []
    head += [length_delimited(2, version.encode())] if version else []
    message = list(fields)
    for field in head:
        message.insert(chance.randint(0, len(message)), field)
    renamed = request(b"".join(message), other, later)
    new = length_delimited(1, other.encode()) + (length_delimited(2, later.encode()) if later else b"")
    assert renamed == new + b"".join(fields)


@pytest.mark.parametrize(
    "kind",
    [
        service_pb2.ModelReadyRequest,
        service_pb2.ModelMetadataRequest,
        service_pb2.ModelConfigRequest,
        service_pb2.ModelStatisticsRequest,
    ],
)
def test_requests_about_models_are_renamed_too(kind: Any) -> None:
    assert kind.FromString(request(kind(name="m", version="3").SerializeToString(), "n", "")) == kind(name="n")
    assert kind.FromString(request(b"", "n", "4")) == kind(name="n", version="4")


@pytest.mark.parametrize(
    "message",
    [b"\x0a", b"\x0a\x05m", b"\x0a\x80", b"\x0a\x01m\x3a\xff\x01", b"\x0b", b"\x02\x00", b"\x1a", b"\x8a\x00\x01m"],
)
def test_what_is_no_protocol_buffer_is_refused(message: bytes) -> None:
    with pytest.raises(MalformedMessage):
        request(message, "n", "")


@given(NAMES, NAMES, TENSORS)
def test_an_answer_names_the_public_model(model: str, public: str, tensors: list[bytes]) -> None:
    before = infer_response(model, tensors)
    wanted = infer_response(public if model else "", tensors)
    renamed = reply_for(Operation.INFER, before.SerializeToString(), public)
    assert service_pb2.ModelInferResponse.FromString(bytes(renamed)) == wanted
    stream = service_pb2.ModelStreamInferResponse(infer_response=before)
    renamed = stream_reply(bytearray(stream.SerializeToString()), public)
    assert service_pb2.ModelStreamInferResponse.FromString(bytes(renamed)).infer_response == wanted


@given(NAMES, st.lists(OTHERS, min_size=1, max_size=5), st.lists(OTHERS, max_size=5))
def test_a_name_that_is_not_first_is_found(public: str, before: list[bytes], after: list[bytes]) -> None:
    def message(name: str) -> bytes:
        return b"".join((*before, length_delimited(1, name.encode()), *after))

    assert reply_for(Operation.INFER, message("m"), public) == message(public)
    assert stream_reply(b"".join(after) + length_delimited(2, message("m")), public) == b"".join(
        after
    ) + length_delimited(2, message(public))


def test_metadata_configuration_and_statistics_are_renamed_and_nothing_in_them() -> None:
    metadata = service_pb2.ModelMetadataResponse(name="m", versions=["1"], platform="p")
    metadata.inputs.add(name="m", datatype="FP32", shape=[1])
    renamed = reply_for(Operation.MODEL_METADATA, metadata.SerializeToString(), "public")
    metadata.name = "public"
    assert service_pb2.ModelMetadataResponse.FromString(bytes(renamed)) == metadata

    config = model_config_pb2.ModelConfig(name="m", backend="onnxruntime", max_batch_size=4)
    config.input.add(name="m", dims=[1] * 100)
    answer = service_pb2.ModelConfigResponse(config=config)
    renamed = reply_for(Operation.MODEL_CONFIG, answer.SerializeToString(), "public" * 30)
    answer.config.name = "public" * 30
    assert service_pb2.ModelConfigResponse.FromString(bytes(renamed)) == answer

    statistics = service_pb2.ModelStatisticsResponse()
    for version in ("1", "2"):
        statistics.model_stats.add(name="m", version=version, inference_count=7).memory_usage.add(type="GPU", id=1)
    renamed = reply_for(Operation.MODEL_STATISTICS, statistics.SerializeToString(), "public")
    for row in statistics.model_stats:
        row.name = "public"
    assert service_pb2.ModelStatisticsResponse.FromString(bytes(renamed)) == statistics


def test_what_names_no_model_stays_as_it_is() -> None:
    ready = b"\x08\x01"
    assert reply_for(Operation.MODEL_READY, ready, "public") is ready
    assert reply_for(Operation.MODEL_METADATA, b"", "public") == b""


def test_an_error_in_a_stream_stays_unless_the_real_name_is_told() -> None:
    error = service_pb2.ModelStreamInferResponse(error_message="unexpected input 'm' for model 'm'")
    error.infer_response.id = "model 'm'"
    before = error.SerializeToString()
    assert stream_reply(before, "public") == before
    renamed = stream_reply(before, "public", "m")
    error.error_message = "unexpected input 'm' for model 'public'"
    assert service_pb2.ModelStreamInferResponse.FromString(bytes(renamed)) == error


def test_a_status_message_names_the_public_model() -> None:
    assert (
        words("Request for unknown model: 'm' is not found", "m", "p") == "Request for unknown model: 'p' is not found"
    )
    assert words("", "m", "p") == ""


@pytest.mark.parametrize("message", [b"\x0a\x05m", b"\x0a", b"\x0a\x80", b"\xff" * 12])
def test_an_answer_that_is_none_is_told_as_such(message: bytes) -> None:
    with pytest.raises(UpstreamBroken):
        stream_reply(length_delimited(2, message), "public")
    with pytest.raises(UpstreamBroken):
        reply_for(Operation.MODEL_CONFIG, length_delimited(1, message), "public")
    with pytest.raises(UpstreamBroken):
        reply_for(Operation.INFER, message[:2], "public")


def test_long_versions_are_not_remembered() -> None:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(100):
            version = f"{number}" + "0" * 100_000
            said = request(infer_request("shop", version, []).SerializeToString(), "real", version)
            assert service_pb2.ModelInferRequest.FromString(said).model_version == version
        assert tracemalloc.get_traced_memory()[0] - before < 2_000_000
    finally:
        tracemalloc.stop()

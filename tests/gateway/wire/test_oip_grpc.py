import contextlib

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2

from gateway.core.call import Operation, Sequence
from gateway.core.errors import Forbidden, GatewayError, InvalidRequest, MalformedMessage
from gateway.wire import oip_grpc
from gateway.wire.oip_grpc import Head

INFER, STREAM = f"/{oip_grpc.SERVICE}/ModelInfer", f"/{oip_grpc.SERVICE}/ModelStreamInfer"
READY = f"/{oip_grpc.SERVICE}/ModelReady"
LOAD = f"/{oip_grpc.SERVICE}/RepositoryModelLoad"
ATTRIBUTES = {
    "model_name": "model",
    "model_version": "version",
    "id": "request_id",
    "name": "model",
    "version": "version",
}


def test_the_table_is_the_services_own() -> None:
    methods = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods_by_name
    assert set(oip_grpc.METHODS) == {f"/{oip_grpc.SERVICE}/{name}" for name in methods}
    for path, method in oip_grpc.METHODS.items():
        described = methods[path.rpartition("/")[2]]
        assert method.streaming == described.client_streaming == described.server_streaming
        fields = {
            field.number: ATTRIBUTES[field.name] for field in described.input_type.fields if field.name in ATTRIBUTES
        }
        if "SharedMemory" in path:  # whose name is a region's
            fields = {}
        assert method.fields == fields
    operations = {method.operation for method in oip_grpc.METHODS.values()}
    assert operations == set(Operation) - {Operation.GENERATE, Operation.GENERATE_STREAM}


def read(path: str, message: bytes | bytearray) -> Head:
    return oip_grpc.read_head(path, message, False)


@given(st.text(), st.text(), st.text(), st.binary(max_size=300))
def test_the_head_is_what_protobuf_reads(model: str, version: str, request_id: str, tensor: bytes) -> None:
    request = service_pb2.ModelInferRequest(model_name=model, model_version=version, id=request_id)
    request.inputs.add(name="x", datatype="UINT8", shape=[len(tensor)])
    request.parameters["priority"].int64_param = 3
    request.raw_input_contents.append(tensor)
    for path in (INFER, STREAM):
        assert read(path, request.SerializeToString()) == Head(model, version, request_id)


def test_a_head_tells_the_sequence_and_what_is_refused_in_both_methods_of_inference() -> None:
    request = service_pb2.ModelInferRequest(model_name="m")
    request.parameters["sequence_id"].int64_param = 3
    shared = service_pb2.ModelInferRequest(model_name="m")
    shared.inputs.add(name="x").parameters["shared_memory_region"].string_param = "r"
    for path in (INFER, STREAM):
        assert read(path, request.SerializeToString()) == Head("m", "", "", Sequence("3"))
        with pytest.raises(Forbidden):
            read(path, shared.SerializeToString())
        assert oip_grpc.read_head(path, shared.SerializeToString(), True) == Head("m")


def test_a_client_may_ask_for_the_last_response() -> None:
    request = service_pb2.ModelInferRequest(model_name="m")
    request.parameters["triton_enable_empty_final_response"].bool_param = True
    assert read(STREAM, request.SerializeToString()) == Head("m")
    assert read(INFER, request.SerializeToString()) == Head("m")


def test_the_other_methods_name_the_model_in_their_own_fields() -> None:
    message = service_pb2.ModelReadyRequest(name="m", version="3").SerializeToString()
    assert read(READY, message) == read(READY, bytearray(message)) == Head("m", "3")
    index = service_pb2.RepositoryIndexRequest(repository_name="r").SerializeToString()
    assert read(f"/{oip_grpc.SERVICE}/RepositoryIndex", index) == Head()
    load = service_pb2.RepositoryModelLoadRequest(repository_name="r", model_name="m").SerializeToString()
    assert read(LOAD, load) == Head("m")
    region = service_pb2.SystemSharedMemoryRegisterRequest(name="r", key="/k").SerializeToString()
    assert read(f"/{oip_grpc.SERVICE}/SystemSharedMemoryRegister", region) == Head()


@pytest.mark.parametrize("field", [b"\x0a\x01a", b"\x12\x011", b"\x1a\x01i"])
def test_a_field_that_says_what_the_request_is_about_comes_once(field: bytes) -> None:
    between = b"\x3a\x03abc"  # raw_input_contents
    with pytest.raises(InvalidRequest, match="twice"):
        read(INFER, field + between + field)
    with pytest.raises(InvalidRequest, match="twice"):
        read(LOAD, b"\x12\x01a\x12\x01b")


def test_a_number_where_a_name_belongs_is_an_unknown_field_as_in_protobuf() -> None:
    message = b"\x08\x05\x0a\x01m"
    assert service_pb2.ModelInferRequest.FromString(message).model_name == "m"
    assert read(INFER, message) == Head("m")
    assert read(READY, message) == Head("m")


@pytest.mark.parametrize("path", [INFER, READY])
@pytest.mark.parametrize(
    "message",
    [
        b"\xff\xff\xff",  # a tag that does not end
        b"\x0a\x05abc",  # longer than what is there
        b"\x0a",  # no length at all
        b"\x3a\xff",  # a length that does not end
        b"\x00\x01",  # field number zero
        b"\x02\x01a",  # the same, with bytes
        b"\x0b\x0c",  # groups
        b"\x0f",  # a wire type that does not exist
        b"\x09\x01",  # eight bytes that are not there
        b"\x0d\x01",  # four bytes that are not there
        b"\x8a\x00\x01m",  # field 1, spelled in two bytes
        b"\x08" + b"\xff" * 11,  # a number of more than ten bytes
    ],
)
def test_what_is_no_protocol_buffer_is_refused_in_tritons_words(path: str, message: bytes) -> None:
    with pytest.raises(MalformedMessage, match="Unable to parse request"):
        read(path, message)


@pytest.mark.parametrize("path", [INFER, READY])
def test_a_name_that_is_not_text_is_refused(path: str) -> None:
    with pytest.raises(InvalidRequest, match="UTF-8"):
        read(path, b"\x0a\x01\xff")


PIECES = st.sampled_from([b"\x0a\x01m", b"\x12\x011", b"\x8a\x00\x01x", b"\x8a\x80\x80\x80\x10\x01x", b"\x08\x05"])


@settings(max_examples=200)
@given(st.lists(PIECES | st.binary(max_size=4), max_size=5).map(b"".join), st.sampled_from(sorted(oip_grpc.METHODS)))
def test_what_is_let_through_is_read_as_protobuf_reads_it(message: bytes, path: str) -> None:
    methods = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods_by_name
    described = methods[path.rpartition("/")[2]].input_type
    with contextlib.suppress(GatewayError, DecodeError):
        head = read(path, message)
        parsed = getattr(service_pb2, described.name).FromString(message)
        for number, attribute in oip_grpc.METHODS[path].fields.items():
            assert getattr(head, attribute) == getattr(parsed, described.fields_by_number[number].name)


def test_only_what_triton_may_see_goes_on() -> None:
    metadata = (
        (b"authorization", b"s"),
        (b"traceparent", b"t"),
        (b"user-agent", b"u"),
        (b"triton_grpc_error", b"true"),
    )
    assert oip_grpc.request_metadata(metadata) == ((b"traceparent", b"t"), (b"triton_grpc_error", b"true"))


def test_live_is_a_yes() -> None:
    assert service_pb2.ServerLiveResponse.FromString(oip_grpc.LIVE).live is True


@pytest.mark.parametrize(("message", "request_id"), [("wrong", "i"), ("ü" * 500, "x" * 200), ("", "")])
def test_an_error_in_a_stream_has_tritons_form(message: str, request_id: str) -> None:
    response = service_pb2.ModelStreamInferResponse.FromString(oip_grpc.stream_error(message, request_id))
    assert response.error_message == message
    assert response.infer_response.id == request_id

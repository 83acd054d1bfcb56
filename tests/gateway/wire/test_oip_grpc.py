import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2

from gateway.core.call import Operation
from gateway.core.errors import GatewayError, InvalidRequest, MalformedMessage
from gateway.wire import oip_grpc
from gateway.wire.oip_grpc import Head

INFER = f"/{oip_grpc.SERVICE}/ModelInfer"
READY = f"/{oip_grpc.SERVICE}/ModelReady"


def test_the_table_is_the_services_own() -> None:
    methods = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods_by_name
    for path in oip_grpc.METHODS:
        assert path.rpartition("/")[2] in methods
    assert {method.operation for method in oip_grpc.METHODS.values()} == set(Operation)


@given(st.text(), st.text(), st.text(), st.binary(max_size=300))
def test_the_head_is_what_protobuf_reads(model: str, version: str, request_id: str, tensor: bytes) -> None:
    request = service_pb2.ModelInferRequest(model_name=model, model_version=version, id=request_id)
    request.inputs.add(name="x", datatype="UINT8", shape=[len(tensor)])
    request.parameters["priority"].int64_param = -3
    request.raw_input_contents.append(tensor)
    assert oip_grpc.read_head(INFER, request.SerializeToString()) == Head(model, version, request_id)


def test_the_other_methods_name_the_model_in_their_own_fields() -> None:
    message = service_pb2.ModelReadyRequest(name="m", version="3").SerializeToString()
    assert oip_grpc.read_head(READY, message) == Head("m", "3")
    index = service_pb2.RepositoryIndexRequest(repository_name="r").SerializeToString()
    assert oip_grpc.read_head(f"/{oip_grpc.SERVICE}/RepositoryIndex", index) == Head()


@pytest.mark.parametrize("field", [b"\x0a\x01a", b"\x12\x011", b"\x1a\x01i"])
def test_a_field_that_says_what_the_request_is_about_comes_once(field: bytes) -> None:
    between = b"\x3a\x03abc"  # raw_input_contents
    with pytest.raises(InvalidRequest, match="twice"):
        oip_grpc.read_head(INFER, field + between + field)


def test_a_number_where_a_name_belongs_is_an_unknown_field_as_in_protobuf() -> None:
    message = b"\x08\x05\x0a\x01m"
    assert service_pb2.ModelInferRequest.FromString(message).model_name == "m"
    assert oip_grpc.read_head(INFER, message) == Head("m")


@pytest.mark.parametrize(
    "message",
    [
        b"\xff\xff\xff",  # a tag that does not end
        b"\x0a\x05abc",  # longer than what is there
        b"\x00\x01",  # field number zero
        b"\x0b\x0c",  # groups
        b"\x0f",  # a wire type that does not exist
        b"\x09\x01",  # eight bytes that are not there
        b"\x0d\x01",  # four bytes that are not there
        b"\x08" + b"\xff" * 11,  # a number of more than ten bytes
    ],
)
def test_what_is_no_protocol_buffer_is_refused_in_tritons_words(message: bytes) -> None:
    with pytest.raises(MalformedMessage, match="Unable to parse request"):
        oip_grpc.read_head(INFER, message)


def test_a_name_that_is_not_text_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="UTF-8"):
        oip_grpc.read_head(INFER, b"\x0a\x01\xff")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(message: bytes) -> None:
    with contextlib.suppress(GatewayError):
        assert isinstance(oip_grpc.read_head(INFER, message), Head)


def test_only_what_triton_may_see_goes_on() -> None:
    metadata = ((b"authorization", b"s"), (b"traceparent", b"t"), (b"user-agent", b"u"))
    assert oip_grpc.request_metadata(metadata) == ((b"traceparent", b"t"),)


def test_live_is_a_yes() -> None:
    assert service_pb2.ServerLiveResponse.FromString(oip_grpc.LIVE).live is True

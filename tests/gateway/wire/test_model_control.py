import base64
import json

import pytest
from tritonclient.grpc import service_pb2

from gateway.core.call import Operation, Protocol, Reply
from gateway.core.errors import InvalidRequest, MalformedMessage
from gateway.wire import status
from gateway.wire.model_control import to_grpc, to_http
from tests.gateway.conftest import MakeCall


def test_a_load_with_config_and_files(make_call: MakeCall) -> None:
    weights = bytes(range(256))
    parameters = {"config": '{"backend":"onnxruntime"}', "file:1/model.onnx": base64.b64encode(weights).decode()}
    body = json.dumps({"parameters": parameters}).encode()
    call = to_grpc(make_call(operation=Operation.LOAD_MODEL, model="m", body=body))
    assert call.protocol is Protocol.GRPC
    assert call.line == b"/inference.GRPCInferenceService/RepositoryModelLoad"
    message = service_pb2.RepositoryModelLoadRequest.FromString(call.body)
    assert message.model_name == "m"
    assert message.parameters["config"].string_param == parameters["config"]
    assert message.parameters["file:1/model.onnx"].bytes_param == weights


def test_an_unload_with_its_dependents(make_call: MakeCall) -> None:
    body = b'{"parameters": {"unload_dependents": true, "n": -5}}'
    call = to_grpc(make_call(operation=Operation.UNLOAD_MODEL, model="m", body=body))
    assert call.line == b"/inference.GRPCInferenceService/RepositoryModelUnload"
    message = service_pb2.RepositoryModelUnloadRequest.FromString(call.body)
    assert message.parameters["unload_dependents"].bool_param
    assert message.parameters["n"].int64_param == -5


def test_no_body_means_no_parameters(make_call: MakeCall) -> None:
    call = to_grpc(make_call(operation=Operation.LOAD_MODEL, model="m", body=b""))
    assert not service_pb2.RepositoryModelLoadRequest.FromString(call.body).parameters


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"[1]", "must be a JSON object"),
        (b'{"parameters": 1}', "must be a JSON object"),
        (b'{"parameters": {"config": {"a": 1}}}', "parameters.config must be a string"),
        (b'{"parameters": {"file:1/m": "?"}}', "parameters.file:1/m must be the file's content in base64"),
        (rb'{"parameters": {"config": "\ud800"}}', "parameters.'config' is not Unicode text"),
        (rb'{"parameters": {"\ud800": ""}}', "is not Unicode text"),
        (b'{"parameters": {"n": 99999999999999999999}}', "must fit into 64 bits"),
    ],
)
def test_what_is_wrong_is_named(make_call: MakeCall, body: bytes, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words.replace("?", r"\?")):
        to_grpc(make_call(operation=Operation.LOAD_MODEL, model="m", body=body))


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000])
def test_what_is_not_json_is_malformed(make_call: MakeCall, body: bytes) -> None:
    with pytest.raises(MalformedMessage, match="JSON"):
        to_grpc(make_call(operation=Operation.LOAD_MODEL, model="m", body=body))


@pytest.mark.parametrize(
    ("code", "http"),
    [
        (status.INVALID_ARGUMENT, 400),
        (status.NOT_FOUND, 404),
        (status.INTERNAL, 500),
        (status.UNAVAILABLE, 503),
        (6, 400),
    ],
)
def test_a_refusal_keeps_its_words_and_its_meaning(code: int, http: int) -> None:
    reply = to_http(Reply(code, message="failed to load 'm'"))
    assert reply.status == http
    assert json.loads(reply.body) == {"error": "failed to load 'm'"}


def test_done_is_done() -> None:
    assert to_http(Reply(status.OK)) == Reply(200)

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2

from gateway.wire.oip_stream import Answer, answer, request_id, with_error


def response(request: str, final: bool | None = None, error: str = "") -> bytes:
    message = service_pb2.ModelStreamInferResponse(error_message=error)
    message.infer_response.model_name = "m" * 200
    message.infer_response.id = request
    if final is not None:
        message.infer_response.parameters["sequence_id"].int64_param = 5
        message.infer_response.parameters["triton_final_response"].bool_param = final
    message.infer_response.outputs.add(name="y", datatype="FP32", shape=[1000])
    message.infer_response.raw_output_contents.append(bytes(4000))
    return bytes(message.SerializeToString())


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (response("7"), Answer("7")),
        (response("7", final=True), Answer("7")),
        (response("7", final=False), Answer("7", more=True)),
        (response("ü" * 100, error="boom"), Answer("ü" * 100, error="boom")),
        (response(""), Answer("")),
        (response("<id_unknown>", error="boom"), Answer("", error="boom")),
        (service_pb2.ModelStreamInferResponse(error_message="boom").SerializeToString(), Answer("", error="boom")),
        (b"", Answer("")),
    ],
)
def test_a_response_says_which_request_it_answers(message: bytes, expected: Answer) -> None:
    assert answer(message) == expected
    assert answer(bytearray(message)) == expected


def test_an_errors_words_are_replaced_and_nothing_else() -> None:
    before = response("7", final=True, error="cannot open /opt/a")
    after = service_pb2.ModelStreamInferResponse.FromString(with_error(bytearray(before), "cannot open ..."))
    assert after.error_message == "cannot open ..."
    assert after.infer_response == service_pb2.ModelStreamInferResponse.FromString(before).infer_response


def test_a_requests_id_is_read_even_where_the_request_is_refused() -> None:
    request = service_pb2.ModelInferRequest(model_name="m", id="42", raw_input_contents=[b"x" * 300])
    assert request_id(request.SerializeToString()) == "42"
    assert request_id(b"\x0a\x01m\x0a\x01n\x1a\x0242") == "42"
    assert request_id(b"\x0a\x01m") == ""


@given(st.binary(max_size=60))
def test_nonsense_is_no_error(message: bytes) -> None:
    assert isinstance(answer(message), Answer)
    assert isinstance(request_id(message), str)


@given(st.text(max_size=20), st.binary(max_size=200), st.integers(1, 200))
def test_a_cut_message_says_no_more_than_a_whole_one(name: str, tensor: bytes, cut: int) -> None:
    request = service_pb2.ModelInferRequest(model_name="m", id=name, raw_input_contents=[tensor])
    whole = request.SerializeToString()
    assert request_id(whole) == name
    assert request_id(whole[:-cut]) in ("", name)

from gateway.tap.datatypes import DecodedRequest
from gateway.tap.recording.redact import redacted
from gateway.tap.sections import RedactSection
from tests.gateway.tap.recording.requests import recorded, tensor

REQUEST = recorded(
    request=DecodedRequest(
        (tensor("image", "FP32", [[1.0, 2.0]]), tensor("name", "BYTES", [b"Ada", b"Bob"])),
        {"priority": 1, "user_id": "7", "binary_data_output": True},
        ("y",),
        {"y": 3},
    ),
    outputs=(tensor("y", "INT64", [4]), tensor("text", "BYTES", [b"secret"])),
    request_id="r",
    tenant="t",
)


def test_by_default_tensors_stay_and_all_else_goes() -> None:
    kept = redacted(REQUEST, RedactSection())
    assert kept.request.tensors == REQUEST.request.tensors
    assert kept.outputs == REQUEST.outputs
    assert (kept.request.parameters, kept.request_id, kept.tenant) == ({}, "", "")
    assert kept.redacted == ("parameters",)
    assert (kept.request.outputs, kept.request.classification) == (("y",), {"y": 3})


def test_values_become_zeros_and_empty_texts_of_the_same_shape() -> None:
    kept = redacted(REQUEST, RedactSection(inputs=("*",), outputs=("te?t",), parameters=()))
    image, name = kept.request.tensors
    assert (image.shape, image.data.tolist(), image.data.dtype) == (
        (1, 2),
        [[0, 0]],
        REQUEST.request.tensors[0].data.dtype,
    )
    assert (name.shape, name.data.tolist()) == ((2,), [b"", b""])
    assert kept.outputs is not None
    assert [each.data.tolist() for each in kept.outputs] == [[4], [b""]]
    assert kept.redacted == ("in/image", "in/name", "out/text")


def test_parameters_by_pattern_and_ids_where_they_may_stay() -> None:
    kept = redacted(REQUEST, RedactSection(parameters=("user_*",), request_id=False, tenant=False))
    assert kept.request.parameters == {"priority": 1}
    assert (kept.redacted, kept.request_id, kept.tenant) == (("parameters",), "r", "t")


def test_a_request_without_parameters_is_not_called_redacted() -> None:
    assert redacted(recorded(outputs=None), RedactSection()).redacted == ()


def test_patterns_tell_upper_from_lower_case() -> None:
    assert redacted(REQUEST, RedactSection(inputs=("NAME",), parameters=())).redacted == ()

import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from benchmarks.payloads import KINDS, Kind, reply
from benchmarks.replies import ReplyError, arrays

OUTPUTS = {"A": np.array([[1.5, -2.0]], np.float32), "B": np.arange(300, dtype=np.float32)}


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_written_is_read(kind: Kind) -> None:
    found = arrays(kind, reply(kind, "m", OUTPUTS).body)
    assert list(found) == ["A", "B"]
    for name, wanted in OUTPUTS.items():
        np.testing.assert_array_equal(found[name].ravel(), wanted.ravel())


def test_a_grpc_reply_may_have_typed_contents() -> None:
    message = service_pb2.ModelInferResponse(model_name="m")
    output = message.outputs.add(name="A", datatype="FP32", shape=[2])
    output.contents.fp32_contents.extend([1.5, -2.0])
    assert arrays("grpc", message.SerializeToString())["A"].tolist() == [1.5, -2.0]


def test_parameters_may_be_null() -> None:
    body = b'{"outputs":[{"name":"A","datatype":"FP32","shape":[1],"parameters":null,"data":[2.0]}]}'
    assert arrays("json", body)["A"].tolist() == [2.0]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("json", b'{"error":"no"}'),
        ("json", b"nothing"),
        ("binary", b'{"outputs":[{"name":"A","datatype":"FP32","parameters":{"binary_data_size":400}}]}'),
        ("grpc", b"\x2a\xff"),
    ],
)
def test_what_is_no_reply_is_refused(kind: Kind, body: bytes) -> None:
    with pytest.raises(ReplyError, match=f"not a {kind} reply"):
        arrays(kind, body)

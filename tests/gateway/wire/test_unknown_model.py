import json

import pytest

from gateway.core.call import Operation, Protocol
from gateway.wire import unknown_model
from tests.gateway.conftest import MakeCall

NOT_FOUND = "Request for unknown model: 'ghost' is not found"
NOT_AVAILABLE = "requested model 'ghost' is not available"

# What Triton 2.51 was seen to answer.
SEEN = [
    (Operation.INFER, (404, "text/plain", NOT_FOUND), (5, NOT_FOUND)),
    (Operation.GENERATE, (404, "application/json", NOT_FOUND), None),
    (Operation.GENERATE_STREAM, (404, "application/json", NOT_FOUND), None),
    (Operation.MODEL_METADATA, (404, "application/json", NOT_FOUND), (5, NOT_FOUND)),
    (Operation.MODEL_CONFIG, (404, "application/json", NOT_FOUND), (5, NOT_FOUND)),
    (Operation.MODEL_READY, (400, "text/plain", "Model version not ready"), (0, "")),
    (Operation.MODEL_STATISTICS, (400, "application/json", NOT_AVAILABLE), (3, NOT_AVAILABLE)),
]


@pytest.mark.parametrize("version", ["", "7"])
@pytest.mark.parametrize(("operation", "http", "grpc"), SEEN)
def test_it_is_what_triton_says(
    make_call: MakeCall,
    operation: Operation,
    http: tuple[int, str, str],
    grpc: tuple[int, str] | None,
    version: str,
) -> None:
    reply = unknown_model.reply(make_call(model="ghost", operation=operation, version=version))
    assert (reply.status, dict(reply.metadata)[b"content-type"].decode()) == http[:2]
    assert json.loads(reply.body) == {"error": http[2]}
    assert b'{"error":"' in reply.body
    if grpc is not None:
        call = make_call(Protocol.GRPC, operation, "ghost", version)
        reply = unknown_model.reply(call)
        assert (reply.status, reply.message, reply.body, reply.metadata) == (*grpc, b"", ())


def test_a_stream_is_told_the_same_words() -> None:
    assert unknown_model.words("ghost") == NOT_FOUND

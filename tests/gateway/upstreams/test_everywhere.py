import json

import pytest
from msgspec.structs import replace

from gateway.core.call import Operation, Protocol, Reply
from gateway.core.errors import GatewayError, UpstreamBroken, UpstreamUnavailable
from gateway.upstreams.everywhere import Reach, decide, is_ready, plain, reach
from gateway.wire.oip_grpc import LIVE
from tests.gateway.conftest import MakeCall

OK = Reply(200, body=b"{}")
BAD = Reply(400, body=b'{"error":"failed to load"}')
DOWN = UpstreamUnavailable("Triton cannot be reached")
SHM = b"/inference.GRPCInferenceService/SystemSharedMemory"


@pytest.mark.parametrize(
    ("operation", "line", "how"),
    [
        (Operation.INFER, b"POST /v2/models/m/infer", Reach.ONE),
        (Operation.MODEL_READY, b"GET /v2/models/m/ready", Reach.ONE),
        (Operation.SERVER_LIVE, b"GET /v2/health/live", Reach.ONE),
        (Operation.SERVER_READY, b"GET /v2/health/ready", Reach.READY),
        (Operation.REPOSITORY_INDEX, b"POST /v2/repository/index", Reach.MERGE),
        (Operation.MODEL_STATISTICS, b"GET /v2/models/stats", Reach.MERGE),
        (Operation.LOAD_MODEL, b"POST /v2/repository/models/m/load", Reach.CHANGE),
        (Operation.UNLOAD_MODEL, b"POST /v2/repository/models/m/unload", Reach.CHANGE),
        (Operation.TRACE_SETTING, b"GET /v2/trace/setting", Reach.ONE),
        (Operation.TRACE_SETTING, b"POST /v2/trace/setting", Reach.CHANGE),
        (Operation.LOG_SETTING, b"POST /v2/logging", Reach.CHANGE),
        (Operation.SYSTEM_SHARED_MEMORY, b"GET /v2/systemsharedmemory/status", Reach.ONE),
        (Operation.CUDA_SHARED_MEMORY, b"POST /v2/cudasharedmemory/unregister", Reach.CHANGE),
    ],
)
def test_whom_an_http_call_concerns(make_call: MakeCall, operation: Operation, line: bytes, how: Reach) -> None:
    assert reach(make_call(operation=operation, line=line)) is how


@pytest.mark.parametrize(
    ("operation", "line", "body", "how"),
    [
        (Operation.LOG_SETTING, b"/inference.GRPCInferenceService/LogSettings", b"", Reach.ONE),
        (Operation.LOG_SETTING, b"/inference.GRPCInferenceService/LogSettings", b"\x0a\x00", Reach.CHANGE),
        (Operation.SYSTEM_SHARED_MEMORY, SHM + b"Status", b"", Reach.ONE),
        (Operation.SYSTEM_SHARED_MEMORY, SHM + b"Unregister", b"", Reach.CHANGE),
    ],
)
def test_whom_a_grpc_call_concerns(
    make_call: MakeCall, operation: Operation, line: bytes, body: bytes, how: Reach
) -> None:
    assert reach(make_call(protocol=Protocol.GRPC, operation=operation, line=line, body=body)) is how


def test_an_answer_that_is_read_here_is_not_compressed(make_call: MakeCall) -> None:
    call = make_call(metadata=((b"accept-encoding", b"gzip"), (b"traceparent", b"1")))
    assert plain(call).metadata == ((b"traceparent", b"1"),)
    added = replace(make_call(), added=((b"accept-encoding", b"gzip"), (b"x-tenant", b"a")))
    assert plain(added).added == ((b"x-tenant", b"a"),)
    untouched = make_call()
    assert plain(untouched) is untouched


def test_a_change_is_done_when_all_have_done_it(make_call: MakeCall) -> None:
    call = make_call(operation=Operation.LOAD_MODEL)
    assert decide(call, Reach.CHANGE, [("a", OK), ("b", OK)]) is OK
    assert decide(call, Reach.CHANGE, [("a", DOWN), ("b", OK)]) is OK
    with pytest.raises(UpstreamUnavailable):
        decide(call, Reach.CHANGE, [("a", DOWN), ("b", DOWN)])


def test_the_first_error_of_a_change_names_who_said_it(make_call: MakeCall) -> None:
    call = make_call(operation=Operation.LOAD_MODEL)
    reply = decide(call, Reach.CHANGE, [("a", OK), ("b", BAD)])
    assert (reply.status, json.loads(reply.body)) == (400, {"error": "b: failed to load"})
    with pytest.raises(UpstreamBroken, match=r"^b: it broke$"):
        decide(call, Reach.CHANGE, [("a", OK), ("b", UpstreamBroken("it broke"))])
    odd = Reply(500, body=b"not JSON")
    assert decide(call, Reach.CHANGE, [("a", OK), ("b", odd)]) is odd
    assert decide(call, Reach.CHANGE, [("b", BAD)]) is BAD  # with one Triton its words are passed on as they are
    grpc = make_call(protocol=Protocol.GRPC, operation=Operation.LOAD_MODEL)
    answers: list[tuple[str, Reply | GatewayError]] = [("a", Reply(0)), ("b", Reply(13, message="failed"))]
    assert decide(grpc, Reach.CHANGE, answers).message == "b: failed"


def test_what_some_answer_is_merged_and_nothing_good_is_an_error(make_call: MakeCall) -> None:
    call = make_call(operation=Operation.REPOSITORY_INDEX)
    one, two = Reply(200, ((b"a", b"b"),), b'[{"name":"x"}]'), Reply(200, body=b'[{"name":"y"}]')
    merged = decide(call, Reach.MERGE, [("a", one), ("b", two), ("c", BAD), ("d", DOWN)])
    assert (merged.metadata, json.loads(merged.body)) == (one.metadata, [{"name": "x"}, {"name": "y"}])
    assert decide(call, Reach.MERGE, [("a", one), ("c", BAD)]) is one
    assert decide(call, Reach.MERGE, [("c", BAD), ("d", DOWN)]) is BAD
    with pytest.raises(GatewayError, match="put together"):
        decide(call, Reach.MERGE, [("a", one), ("b", OK)])


def test_ready_is_whoever_says_so(make_call: MakeCall) -> None:
    call = make_call(operation=Operation.SERVER_READY)
    assert decide(call, Reach.READY, [("a", BAD), ("b", OK)]) is OK
    assert decide(call, Reach.READY, [("a", BAD), ("b", BAD)]) is BAD
    grpc = make_call(protocol=Protocol.GRPC, operation=Operation.SERVER_READY)
    assert is_ready(grpc, Reply(0, body=LIVE))
    assert not is_ready(grpc, Reply(0))
    assert not is_ready(grpc, DOWN)

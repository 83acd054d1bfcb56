import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.call import Call, Operation, Protocol
from gateway.core.deadline import Deadline
from gateway.core.errors import InvalidRequest, MethodNotAllowed, UnknownRoute, UnsupportedFeature
from gateway.wire import oip_http

SYSTEM, CUDA = Operation.SYSTEM_SHARED_MEMORY, Operation.CUDA_SHARED_MEMORY
ROUTES = [
    (b"GET", b"/v2", Operation.SERVER_METADATA, "", ""),
    (b"GET", b"/v2/health/live", Operation.SERVER_LIVE, "", ""),
    (b"GET", b"/v2/health/ready", Operation.SERVER_READY, "", ""),
    (b"GET", b"/v2/models/stats", Operation.MODEL_STATISTICS, "", ""),
    (b"GET", b"/v2/models/m", Operation.MODEL_METADATA, "m", ""),
    (b"GET", b"/v2/models/m/versions/2", Operation.MODEL_METADATA, "m", "2"),
    (b"GET", b"/v2/models/m/config", Operation.MODEL_CONFIG, "m", ""),
    (b"GET", b"/v2/models/m/ready", Operation.MODEL_READY, "m", ""),
    (b"GET", b"/v2/models/m/versions/02/stats", Operation.MODEL_STATISTICS, "m", "02"),
    (b"GET", b"/v2/models/m/stats", Operation.MODEL_STATISTICS, "m", ""),
    (b"POST", b"/v2/models/m/infer", Operation.INFER, "m", ""),
    (b"POST", b"/v2/models/m/versions/10/infer", Operation.INFER, "m", "10"),
    (b"POST", b"/v2/models/a%64d/infer", Operation.INFER, "a%64d", ""),  # Triton does not decode either
    (b"POST", b"/v2/models/versions/infer", Operation.INFER, "versions", ""),
    (b"POST", b"/v2/models/versions/versions/1/infer", Operation.INFER, "versions", "1"),
    (b"POST", b"/v2/models/m/generate", Operation.GENERATE, "m", ""),
    (b"POST", b"/v2/models/m/versions/1/generate_stream", Operation.GENERATE_STREAM, "m", "1"),
    (b"GET", b"/v2/trace/setting", Operation.TRACE_SETTING, "", ""),
    (b"POST", b"/v2/trace/setting", Operation.TRACE_SETTING, "", ""),
    (b"POST", b"/v2/models/m/trace/setting", Operation.TRACE_SETTING, "m", ""),
    (b"GET", b"/v2/models/m/versions/1/trace/setting", Operation.TRACE_SETTING, "m", "1"),
    (b"GET", b"/v2/logging", Operation.LOG_SETTING, "", ""),
    (b"POST", b"/v2/logging", Operation.LOG_SETTING, "", ""),
    (b"POST", b"/v2/repository/index", Operation.REPOSITORY_INDEX, "", ""),
    (b"POST", b"/v2/repository/models/m/load", Operation.LOAD_MODEL, "m", ""),
    (b"POST", b"/v2/repository/models/m/unload", Operation.UNLOAD_MODEL, "m", ""),
    (b"GET", b"/v2/systemsharedmemory/status", SYSTEM, "", ""),
    (b"GET", b"/v2/systemsharedmemory/region/r/status", SYSTEM, "", ""),
    (b"POST", b"/v2/systemsharedmemory/region/r/register", SYSTEM, "", ""),
    (b"POST", b"/v2/systemsharedmemory/unregister", SYSTEM, "", ""),
    (b"POST", b"/v2/systemsharedmemory/region/r/unregister", SYSTEM, "", ""),
    (b"GET", b"/v2/cudasharedmemory/status", CUDA, "", ""),
    (b"POST", b"/v2/cudasharedmemory/region/r/register", CUDA, "", ""),
    (b"POST", b"/v2/cudasharedmemory/unregister", CUDA, "", ""),
]


def call_of(route: oip_http.Route) -> Call:
    return Call(
        Protocol.HTTP, route.operation, route.line, route.model, route.version, "i", (), b"", 0, Deadline.after(1)
    )


@pytest.mark.parametrize(("method", "path", "operation", "model", "version"), ROUTES)
def test_what_is_in_the_table_is_found_and_goes_to_triton_as_it_came(
    method: bytes, path: bytes, operation: Operation, model: str, version: str
) -> None:
    route = oip_http.match(method, path)
    assert route == oip_http.Route(operation, method + b" " + path, model, version)
    assert oip_http.request_line(call_of(route)) == method + b" " + path + b" HTTP/1.1"


def test_every_operation_of_http_has_a_route() -> None:
    assert {operation for _, _, operation, _, _ in ROUTES} == set(Operation) - {Operation.STREAM_INFER}


def test_a_call_that_was_sent_elsewhere_is_asked_for_under_its_new_name() -> None:
    route = oip_http.match(b"POST", b"/v2/models/m/infer")._replace(model="other", version="3")
    assert oip_http.request_line(call_of(route)) == b"POST /v2/models/other/versions/3/infer HTTP/1.1"


@pytest.mark.parametrize(
    "path",
    [
        b"",
        b"/",
        b"/v2/",
        b"/v2/health",
        b"/v2/models",
        b"/v2/models/",
        b"/v2/models//infer",
        b"/v2/models/m/",
        b"/v2/models/m/versions",
        b"/v2/models/m/versions/",
        b"/v2/models/m/versions//infer",
        b"/v2/models/m/versions/x/infer",
        b"/v2/models/m/versions/-1/infer",
        b"/v2/models/m/versions/\xb2/infer",
        b"/v2/models/m/versions/1/",
        b"/v2/models/m/versions/1/infer/more",
        b"/v2/models/m/infer/",
        b"/v2/models/m/unload",
        b"/v2/models/m/generate/stream",
        b"/v2/models/stats/",
        b"/v2/models/m#/infer",
        b"/v2/models/m\0/infer",
        b"/v2/models/m n/infer",
        b"/v2/models/m?x/infer",
        b"/v2/models/\xc3\xbc/infer",
        b"/v2/models/m\r\n/infer",
        b"/v2/repository",
        b"/v2/repository/index/",
        b"/v2/repository/models/m",
        b"/v2/repository/models//load",
        b"/v2/repository/models/m/load/",
        b"/v2/repository//models/m/load",
        b"/v2/repository/a/models/m/x",
        b"/v2/systemsharedmemory",
        b"/v2/systemsharedmemory/register",
        b"/v2/systemsharedmemory/region/status",
        b"/v2/systemsharedmemory/region//status",
        b"/v2/systemsharedmemory/region/r",
        b"/v2/cudasharedmemory/region/r/s/status",
        b"/v2/othersharedmemory/status",
        b"/v2/trace",
        b"/v2//models/m",
        b"//v2/models/m",
        b"/v1/models/m",
        b"/v2/models/" + b"m/" * 1_000,
    ],
)
def test_what_is_not_in_the_table_does_not_exist(path: bytes) -> None:
    for method in (b"GET", b"POST"):
        with pytest.raises(UnknownRoute, match="Not Found"):
            oip_http.match(method, path)


@pytest.mark.parametrize("path", [b"/v2/repository/r/index", b"/v2/repository/r/models/m/load"])
def test_named_repositories_are_not_served_by_triton_either(path: bytes) -> None:
    with pytest.raises(UnsupportedFeature, match="'repository_name' specification is not supported"):
        oip_http.match(b"POST", path)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        (b"DELETE", b"/v2/models/m/infer", "POST"),
        (b"HEAD", b"/v2", "GET"),
        (b"GET", b"/v2/repository/index", "POST"),
        (b"POST", b"/v2/models/m/config", "GET"),
        (b"get", b"/v2", "GET"),
        (b"PUT", b"/v2/logging", "GET, POST"),
        (b"DELETE", b"/v2/models/m/trace/setting", "GET, POST"),
        (b"GET", b"/v2/systemsharedmemory/unregister", "POST"),
    ],
)
def test_a_wrong_method_is_told_the_right_one(method: bytes, path: bytes, allowed: str) -> None:
    with pytest.raises(MethodNotAllowed) as refusal:
        oip_http.match(method, path)
    assert refusal.value.allowed == allowed


SEGMENTS = st.sampled_from(
    [b"models", b"m", b"versions", b"1", b"infer", b"repository", b"region", b"status", b"", b"#"]
)


@given(
    st.sampled_from([b"GET", b"POST"]),
    st.binary(max_size=60) | st.lists(SEGMENTS | st.binary(max_size=3), max_size=7).map(b"/".join),
)
def test_any_path_is_found_or_refused(method: bytes, rest: bytes) -> None:
    path = b"/v2/" + rest
    with contextlib.suppress(UnknownRoute, MethodNotAllowed, UnsupportedFeature):
        route = oip_http.match(method, path)
        assert oip_http.request_line(call_of(route)) == method + b" " + path + b" HTTP/1.1"
        assert (route.model + route.version).isascii()


def test_the_head_is_the_whole_body_unless_the_header_says_less() -> None:
    assert oip_http.head_length((), 10) == 10
    assert oip_http.head_length(((oip_http.HEAD_LENGTH, b"4"),), 10) == 4
    assert oip_http.head_length(((oip_http.HEAD_LENGTH, b"0"),), 10) == 0
    assert oip_http.head_length(((oip_http.HEAD_LENGTH, b"99"),), 10) == 10  # Triton refuses it by itself


@pytest.mark.parametrize("values", [[b"x"], [b"-1"], [b"+1"], [b"1 "], [b""], [b"1", b"2"], [b"9" * 20], [b"\xb2"]])
def test_a_head_length_that_two_parsers_could_read_differently_is_refused(values: list[bytes]) -> None:
    with pytest.raises(InvalidRequest, match="Inference-Header-Content-Length"):
        oip_http.head_length(tuple((oip_http.HEAD_LENGTH, value) for value in values), 10)


@given(st.lists(st.tuples(st.just(oip_http.HEAD_LENGTH) | st.binary(max_size=3), st.binary(max_size=12)), max_size=3))
def test_any_head_length_is_within_the_body_or_refused(headers: list[tuple[bytes, bytes]]) -> None:
    with contextlib.suppress(InvalidRequest):
        assert 0 <= oip_http.head_length(tuple(headers), 10) <= 10


@pytest.mark.parametrize(
    ("values", "encoding"),
    [
        ([], "identity"),
        ([b"identity"], "identity"),
        ([b""], "identity"),
        ([b"gzip"], "gzip"),
        ([b"Deflate"], "deflate"),
    ],
)
def test_bodies_may_be_compressed_in_two_ways(values: list[bytes], encoding: str) -> None:
    assert oip_http.content_encoding(tuple((b"content-encoding", value) for value in values)) == encoding


@pytest.mark.parametrize("values", [[b"br"], [b"gzip, gzip"], [b"x-gzip"], [b"gzip", b"gzip"], [b"identity", b"gzip"]])
def test_other_encodings_are_not_served(values: list[bytes]) -> None:
    with pytest.raises(UnsupportedFeature, match="Unsupported compression type"):
        oip_http.content_encoding(tuple((b"content-encoding", value) for value in values))


def test_only_what_triton_may_see_goes_on_and_comes_back() -> None:
    sent = (
        (b"host", b"x"),
        (b"authorization", b"s"),
        (b"content-type", b"a"),
        (b"content-encoding", b"gzip"),
        (b"accept-encoding", b"gzip"),
        (b"transfer-encoding", b"chunked"),
        (oip_http.HEAD_LENGTH, b"3"),
    )
    assert oip_http.request_metadata(sent) == (sent[2], sent[4], sent[6])
    answered = ((b"connection", b"close"), (b"server", b"evhtp"), (b"content-type", b"a"), (b"content-length", b"9"))
    assert oip_http.reply_metadata(answered) == ((b"content-type", b"a"),)


def test_leave_to_compress_an_answer_can_be_taken_back() -> None:
    headers = ((b"accept-encoding", b"gzip"), (b"x", b"y"), (b"accept-encoding", b"br"))
    assert oip_http.not_packed(headers) == ((b"x", b"y"),)
    plain = headers[1:2]
    assert oip_http.not_packed(plain) is plain

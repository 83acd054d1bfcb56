import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.call import Operation
from gateway.core.errors import InvalidRequest, MethodNotAllowed, UnknownRoute, UnsupportedFeature
from gateway.wire import oip_http
from gateway.wire.oip_http import MAX_JSON_DEPTH, Route
from tests.gateway.conftest import MakeCall

ROUTES = [
    (b"GET", b"/v2", Route(Operation.SERVER_METADATA)),
    (b"GET", b"/v2/health/live", Route(Operation.SERVER_LIVE)),
    (b"GET", b"/v2/health/ready", Route(Operation.SERVER_READY)),
    (b"POST", b"/v2/repository/index", Route(Operation.REPOSITORY_INDEX)),
    (b"GET", b"/v2/models/m", Route(Operation.MODEL_METADATA, "m")),
    (b"GET", b"/v2/models/m/versions/2", Route(Operation.MODEL_METADATA, "m", "2")),
    (b"GET", b"/v2/models/m/config", Route(Operation.MODEL_CONFIG, "m")),
    (b"GET", b"/v2/models/m/ready", Route(Operation.MODEL_READY, "m")),
    (b"POST", b"/v2/models/m/infer", Route(Operation.INFER, "m")),
    (b"POST", b"/v2/models/m/versions/10/infer", Route(Operation.INFER, "m", "10")),
    (b"POST", b"/v2/models/a%64d/infer", Route(Operation.INFER, "a%64d")),  # Triton does not decode either
    (b"POST", b"/v2/models/versions/infer", Route(Operation.INFER, "versions")),
]


@pytest.mark.parametrize(("method", "path", "route"), ROUTES)
def test_what_is_in_the_table_is_found(method: bytes, path: bytes, route: Route) -> None:
    assert oip_http.match(method, path) == route


@pytest.mark.parametrize(("method", "path", "route"), ROUTES)
def test_a_route_goes_to_triton_as_it_came(make_call: MakeCall, method: bytes, path: bytes, route: Route) -> None:
    call = make_call(operation=route.operation, model=route.model, version=route.version)
    assert oip_http.request_line(call) == method + b" " + path + b" HTTP/1.1"


@pytest.mark.parametrize(
    "path",
    [
        b"/v2/",
        b"/v2/health",
        b"/v2/models",
        b"/v2/models/",
        b"/v2/models//infer",
        b"/v2/models/m/",
        b"/v2/models/m/versions",
        b"/v2/models/m/versions/",
        b"/v2/models/m/versions/x/infer",
        b"/v2/models/m/versions/1/",
        b"/v2/models/m/versions/1/infer/more",
        b"/v2/models/m/infer/",
        b"/v2/models/m/generate",
        b"/v2/models/m/unload",
        b"/v2/repository/models/m/load",
        b"/v2/systemsharedmemory/status",
        b"/v2//models/m",
        b"//v2/models/m",
        b"/v1/models/m",
    ],
)
def test_what_is_not_in_the_table_does_not_exist(path: bytes) -> None:
    with pytest.raises(UnknownRoute, match="Not Found"):
        oip_http.match(b"GET", path)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        (b"DELETE", b"/v2/models/m/infer", "POST"),
        (b"HEAD", b"/v2", "GET"),
        (b"GET", b"/v2/repository/index", "POST"),
        (b"POST", b"/v2/models/m/config", "GET"),
    ],
)
def test_a_wrong_method_is_told_the_right_one(method: bytes, path: bytes, allowed: str) -> None:
    with pytest.raises(MethodNotAllowed) as refusal:
        oip_http.match(method, path)
    assert refusal.value.allowed == allowed


@given(st.binary(max_size=60))
def test_any_path_is_found_or_refused(path: bytes) -> None:
    with contextlib.suppress(UnknownRoute, MethodNotAllowed):
        assert oip_http.match(b"GET", b"/v2" + path).operation in Operation


def test_the_head_is_the_whole_body_unless_the_header_says_less() -> None:
    assert oip_http.head_length((), 10) == 10
    assert oip_http.head_length(((oip_http.HEAD_LENGTH, b"4"),), 10) == 4
    assert oip_http.head_length(((oip_http.HEAD_LENGTH, b"0"),), 10) == 0
    assert oip_http.head_length(((oip_http.HEAD_LENGTH, b"99"),), 10) == 10  # Triton refuses it by itself


@pytest.mark.parametrize("values", [[b"x"], [b"-1"], [b"+1"], [b"1 "], [b""], [b"1", b"2"], [b"9" * 20]])
def test_a_head_length_that_two_parsers_could_read_differently_is_refused(values: list[bytes]) -> None:
    with pytest.raises(InvalidRequest, match="Inference-Header-Content-Length"):
        oip_http.head_length(tuple((oip_http.HEAD_LENGTH, value) for value in values), 10)


def test_compressed_bodies_are_refused_and_identity_is_not_compression() -> None:
    assert oip_http.head_length(((b"content-encoding", b"identity"),), 10) == 10
    with pytest.raises(UnsupportedFeature, match="uncompressed"):
        oip_http.head_length(((b"content-encoding", b"gzip"),), 10)


def test_only_what_triton_may_see_goes_on_and_comes_back() -> None:
    sent = ((b"host", b"x"), (b"authorization", b"s"), (b"content-type", b"a"), (oip_http.HEAD_LENGTH, b"3"))
    assert oip_http.request_metadata(sent) == ((b"content-type", b"a"), (oip_http.HEAD_LENGTH, b"3"))
    answered = ((b"connection", b"close"), (b"server", b"evhtp"), (b"content-type", b"a"), (b"content-length", b"9"))
    assert oip_http.reply_metadata(answered) == ((b"content-type", b"a"),)


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def check(body: bytes) -> None:
    oip_http.check_depth(body, len(body))


@pytest.mark.parametrize(
    "body",
    [
        nested(MAX_JSON_DEPTH),
        b'{"data":' + b"[[1,2],[3,4]]," * 10_000 + b"}",
        b'{"data":["' + b"[{" * 10_000 + b'"]}',  # brackets in strings do not nest
        b'{"data":["' + b'\\"[[' * 10_000 + b'"]}',
        b"[[[[[[1]]]]]]," * 5_000,
        b"{" * 50,  # broken, and not deep: Triton says what is wrong with it
    ],
)
def test_tensors_and_texts_are_not_deep(body: bytes) -> None:
    check(body)


@pytest.mark.parametrize(
    "body",
    [
        nested(MAX_JSON_DEPTH + 1),
        nested(1_000_000),
        b'{"inputs":' * (MAX_JSON_DEPTH + 1),
        b"[" * 1_000_000,
        b'[{"a":' * 60 + b"1" + b"}]" * 60,
        b'"' + b"[" * 1_000 + b'" ' + b"[" * 1_000,
        (b"[" * 90 + b"]" * 90) * 1_000 + nested(101),
    ],
)
def test_deep_nesting_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match="deeper than 100 levels"):
        check(body)


def test_tensor_bytes_behind_the_head_are_not_looked_at() -> None:
    oip_http.check_depth(b"{}" + b"[" * 1_000, head_len=2)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text('[]{}"\\a', max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('[]{}"\\a', max_size=3), inner, max_size=3),
    max_leaves=50,
)


@given(JSON, st.integers(0, 130))
def test_depth_is_judged_as_a_parser_would(value: object, wrapped: int) -> None:
    def depth(node: object) -> int:
        children = list(node.values()) if isinstance(node, dict) else node if isinstance(node, list) else None
        return 0 if children is None else 1 + max(map(depth, children), default=0)

    body = b"[" * wrapped + json.dumps(value).encode() + b"]" * wrapped
    if depth(value) + wrapped <= MAX_JSON_DEPTH:
        check(body)
    else:
        with pytest.raises(InvalidRequest):
            check(body)

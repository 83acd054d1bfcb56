"""Whatever comes over HTTP: a proper answer or a closed connection, never a crash, and nothing of the inside."""

from __future__ import annotations

import json
import re

from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.conftest import Fuzzed, fuzzed

BODY = b'{"inputs":[{"name":"IN","shape":[1],"datatype":"INT32","data":[1]}]}'
GOOD = (
    b"POST /v2/models/echo/infer HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(BODY), BODY)
)
LINES = [
    b"POST /v2/models/echo/infer HTTP/1.1",
    b"POST /v2/models/echo/versions/1/infer HTTP/1.0",
    b"POST /v2/models/echo/generate HTTP/1.1",
    b"POST /v2/models/echo/generate_stream HTTP/1.1",
    b"GET /v2/health/ready HTTP/1.1",
    b"GET /v2/models/echo HTTP/1.1",
    b"POST /v2/repository/index HTTP/1.1",
    b"GET /v2/../../etc/passwd HTTP/1.1",
    b"OPTIONS * HTTP/1.1",
    b"CONNECT localhost:1 HTTP/1.1",
    b"GET http://localhost/v2 HTTP/1.1",
    b"HEAD /v2/health/live HTTP/1.1",
    b"PRI * HTTP/2.0",
]
FIELDS = [
    b"host: t",
    b"content-length: 0",
    b"content-length: 10",
    b"content-length: -1",
    b"content-length: 99999999999999999999",
    b"content-length: 1, 1",
    b"transfer-encoding: chunked",
    b"transfer-encoding: gzip, chunked",
    b"transfer-encoding: xchunked",
    b"content-encoding: gzip",
    b"content-encoding: deflate",
    b"content-encoding: br",
    b"inference-header-content-length: 5",
    b"inference-header-content-length: -5",
    b"inference-header-content-length: 500",
    b"expect: 100-continue",
    b"expect: nothing",
    b"connection: close",
    b"connection: upgrade\r\nupgrade: h2c",
    b"x-request-timeout-ms: 0",
    b"x-request-timeout-ms: nan",
    b"x-request-id: \xff\x01",
    b" folded: yes",
    b"no colon",
    b"x: " + b"y" * 70000,
]
BODIES = [
    b"",
    BODY,
    b"[" * 200,
    b'{"inputs":',
    b"5\r\nhello\r\n0\r\n\r\n",
    b"ffffffffffffffff1\r\n",
    b"0\r\n\r\n",
    b"\x1f\x8b\x08",
]


def is_proper(received: bytes) -> None:
    """It is replies, one after another, that say nothing of the inside."""
    for word in (b"Traceback", b"127.0.0.1", b".py", b"gateway/", b"internal error"):
        assert word not in received, received
    rest = received
    while rest:
        head, separator, rest = rest.partition(b"\r\n\r\n")
        assert separator, received
        match = re.match(rb"HTTP/1\.[01] (\d{3}) [^\r\n]*(\r\n|$)", head)
        assert match, received
        status = int(match[1])
        assert 100 <= status < 600, received
        if status == 100:
            continue
        length = re.search(rb"(?im)^content-length: *(\d+)", head)
        if length is None:
            return  # a stream, or a reply that ends with the connection
        body, rest = rest[: int(length[1])], rest[int(length[1]) :]
        if status >= 400 and body:
            assert set(json.loads(body)) == {"error"}, received


def still_serves(gateway: Fuzzed) -> None:
    received = gateway.send(gateway.http, GOOD)
    assert received.startswith(b"HTTP/1.1 200 "), received
    assert received.endswith(BODY)


@fuzzed
@given(st.binary(max_size=2000))
@example(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")  # a TLS client
@example(b"\r\n" * 5000)
@example(b"GET " + b"/" * 200_000)
@example(b"\x00" * 70_000)
def test_any_bytes(gateway: Fuzzed, said: bytes) -> None:
    received = gateway.send(gateway.http, said)
    if received:
        is_proper(received)
    still_serves(gateway)


@fuzzed
@given(
    st.sampled_from(LINES),
    st.lists(st.sampled_from(FIELDS) | st.binary(max_size=50), max_size=8),
    st.sampled_from(BODIES) | st.binary(max_size=300),
    st.lists(st.integers(0, 5000), max_size=3),
)
def test_requests_of_odd_parts(gateway: Fuzzed, line: bytes, fields: list[bytes], body: bytes, cuts: list[int]) -> None:
    said = b"\r\n".join([line, *fields]) + b"\r\n\r\n" + body
    pieces = [said[a:b] for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), len(said)], strict=True)]
    received = gateway.send(gateway.http, *pieces)
    head = b"HEAD" in line
    if received and not head:
        is_proper(received)
    still_serves(gateway)


@fuzzed
@given(st.data())
def test_a_good_request_with_bytes_changed(gateway: Fuzzed, data: st.DataObject) -> None:
    said = bytearray(GOOD + GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(said) - 1))
        match data.draw(st.sampled_from(["change", "delete", "insert", "cut"])):
            case "change":
                said[at] = data.draw(st.integers(0, 255))
            case "delete":
                del said[at : at + data.draw(st.integers(1, 20))]
            case "insert":
                said[at:at] = data.draw(st.binary(min_size=1, max_size=20))
            case _:
                del said[at + 1 :]
        if not said:
            break
    received = gateway.send(gateway.http, bytes(said))
    if received:
        is_proper(received)
    still_serves(gateway)


@fuzzed
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=10),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "inputs",
                        "outputs",
                        "parameters",
                        "id",
                        "name",
                        "shape",
                        "sequence_id",
                        "shared_memory_region",
                        "binary_data_size",
                        "x",
                    ]
                ),
                inner,
                max_size=5,
            )
        ),
        max_leaves=20,
    )
)
def test_any_json(gateway: Fuzzed, said: object) -> None:
    body = json.dumps(said).encode()
    request = b"POST /v2/models/echo/infer HTTP/1.1\r\nhost: t\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    received = gateway.send(gateway.http, request)
    assert received[9:12] in {b"200", b"400", b"403", b"500"}, received  # 500 is Triton's own of JSON that is none
    if received[9:12] != b"200":
        is_proper(received)
    still_serves(gateway)

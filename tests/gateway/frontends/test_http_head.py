import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.frontends.http_head import HttpError, RequestHead, parse


def test_a_head_is_read() -> None:
    raw = b"POST /v2/models/m/infer?a=b HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\nA-B:  c d \t\r\nEmpty:\r\n\r\n"
    assert parse(raw) == RequestHead(
        method=b"POST",
        path=b"/v2/models/m/infer",
        query=b"a=b",
        headers=((b"host", b"x"), (b"content-length", b"12"), (b"a-b", b"c d"), (b"empty", b"")),
        length=12,
        chunked=False,
        keep_alive=True,
        old=False,
        expects=False,
    )


@pytest.mark.parametrize(
    ("line", "keep_alive"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: TE, Close\r\n", False),
        (b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n", False),
        (b"GET / HTTP/1.0\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n", True),
    ],
)
def test_whether_the_connection_is_kept(line: bytes, keep_alive: bool) -> None:
    assert parse(line + b"\r\n").keep_alive is keep_alive


def test_the_absolute_form_is_a_path_too() -> None:
    head = parse(b"GET http://gateway:80/v2?x HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (head.path, head.query) == (b"/v2", b"x")
    assert parse(b"GET http://gateway HTTP/1.1\r\nHost: x\r\n\r\n").path == b"/"


@pytest.mark.parametrize("target", [b"*", b"ftp://x/y", b"x"])
def test_a_target_that_is_no_path_is_refused(target: bytes) -> None:
    with pytest.raises(HttpError) as caught:
        parse(b"OPTIONS %b HTTP/1.1\r\nHost: x\r\n\r\n" % target)
    assert caught.value.status == 400


def test_http_1_0_has_no_chunks_and_no_interim_answers() -> None:
    with pytest.raises(HttpError):
        parse(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert not parse(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n").expects


def test_a_refusal_is_in_tritons_form() -> None:
    reply = HttpError(431, 'too "long"').reply()
    assert (reply.status, json.loads(reply.body)) == (431, {"error": 'too "long"'})


TOKENS = [
    b"GET ",
    b"/ ",
    b"HTTP/1.1",
    b"\r\n",
    b"Host: x\r\n",
    b"Content-Length: 5",
    b"Transfer-Encoding: chunked",
    b":",
]


@given(st.lists(st.sampled_from(TOKENS) | st.binary(max_size=5), max_size=12))
def test_anything_is_a_head_or_refused(parts: list[bytes]) -> None:
    try:
        head = parse(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(parts) + b"\r\n\r\n")
    except HttpError:
        return
    assert not (head.length and head.chunked)
    assert all(name == name.lower() and b"\n" not in value for name, value in head.headers)

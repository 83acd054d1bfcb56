import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import UpstreamBroken
from gateway.upstreams.http_head import ReplyHead, parse


def test_a_head_is_read_and_only_what_clients_may_see_is_kept() -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Type: a/b \r\nServer: x\r\nContent-Length: 3\r\n\r\n"
    assert parse(raw) == ReplyHead(200, ((b"content-type", b"a/b"),), 3, chunked=False, keep_alive=True)


@pytest.mark.parametrize(
    ("raw", "length", "chunked", "keep_alive"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", 0, False, True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", None, True, True),
        (b"HTTP/1.1 200 OK\r\n", None, False, False),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n", 1, False, False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n", 1, False, False),
        (b"HTTP/1.1 204 No Content\r\n", 0, False, True),
        (b"HTTP/1.1 100 Continue\r\n", 0, False, True),
    ],
)
def test_how_the_body_ends(raw: bytes, length: int | None, chunked: bool, keep_alive: bool) -> None:
    head = parse(raw + b"\r\n")
    assert (head.length, head.chunked, head.keep_alive) == (length, chunked, keep_alive)


@pytest.mark.parametrize(
    "raw",
    [
        b"\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 1\n\n",
    ],
)
def test_what_cannot_be_read_is_refused(raw: bytes) -> None:
    with pytest.raises(UpstreamBroken, match="not HTTP"):
        parse(raw)


@given(st.binary(max_size=40))
def test_anything_is_a_head_or_refused(noise: bytes) -> None:
    try:
        head = parse(b"HTTP/1.1 200 OK\r\n" + noise + b"\r\n\r\n")
    except UpstreamBroken:
        return
    assert head.status == 200

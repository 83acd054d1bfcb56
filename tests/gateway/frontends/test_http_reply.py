from gateway.core.call import Reply
from gateway.frontends import http_reply


def test_a_head_says_all_that_a_client_needs() -> None:
    assert http_reply.head(Reply(404, ((b"a", b"b"), (b"c", b"d")), b"body"), "id", http_reply.CLOSE) == (
        b"HTTP/1.1 404 Not Found\r\na: b\r\nc: d\r\ncontent-length: 4\r\nx-request-id: id\r\nconnection: close\r\n\r\n"
    )


def test_a_stream_has_no_length() -> None:
    assert http_reply.stream_head(Reply(200), "id", b"", chunked=True) == (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx-request-id: id\r\n\r\n"
    )
    assert b"chunked" not in http_reply.stream_head(Reply(200), "id", http_reply.CLOSE, chunked=False)


def test_a_status_without_a_phrase_has_none() -> None:
    assert http_reply.status_line(299) == b"HTTP/1.1 299 \r\n"


def test_no_content_has_no_length() -> None:
    head = http_reply.head(Reply(204, ((b"a", b"b"),)), "id", b"vary: origin\r\n")
    assert head == b"HTTP/1.1 204 No Content\r\na: b\r\nx-request-id: id\r\nvary: origin\r\n\r\n"

from hpack import Decoder

from gateway.wire.http2.request_encoder import RequestEncoder

INFER, READY = b"/s/Infer", b"/s/Ready"


def decoded(decoder: Decoder, block: bytes) -> list[tuple[bytes, bytes]]:
    return [(bytes(name), bytes(value)) for name, value in decoder.decode(block, raw=True)]


def expected(path: bytes, timeout: bytes, *more: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    return [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path),
        (b":authority", b"triton:8001"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
        (b"user-agent", b"triton-gateway"),
        (b"grpc-timeout", timeout),
        *more,
    ]


def test_each_request_says_the_same_in_ever_fewer_bytes() -> None:
    encoder, peer = RequestEncoder("triton:8001"), Decoder()
    sizes = []
    for path in (INFER, READY, INFER, READY, INFER):
        block = encoder.encode(path, 1500, ())
        assert decoded(peer, block) == expected(path, b"1500m")
        sizes.append(len(block))
    assert sizes[0] > 100
    assert sizes[-1] < 20


def test_metadata_and_long_deadlines_go_along() -> None:
    encoder, peer = RequestEncoder("triton:8001"), Decoder()
    more = (b"traceparent", b"00-1")
    assert decoded(peer, encoder.encode(INFER, 10**9, (more,))) == expected(INFER, b"1000000S", more)


def test_a_peer_with_a_smaller_table_is_not_asked_to_remember() -> None:
    encoder, peer = RequestEncoder("triton:8001"), Decoder()
    assert decoded(peer, encoder.encode(INFER, 1, ())) == expected(INFER, b"1m")
    peer.max_allowed_table_size = 0
    encoder.stop_indexing()
    encoder.stop_indexing()
    for _ in range(3):
        assert decoded(peer, encoder.encode(INFER, 1, ())) == expected(INFER, b"1m")
    assert peer.header_table_size == 0


def test_more_paths_than_the_table_holds() -> None:
    encoder, peer = RequestEncoder("triton:8001"), Decoder()
    paths = [b"/service/%d" % number + b"x" * 100 for number in range(60)]
    for path in paths + paths:
        assert decoded(peer, encoder.encode(path, 1, ())) == expected(path, b"1m")

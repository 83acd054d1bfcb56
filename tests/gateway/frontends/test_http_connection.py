import asyncio
import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.call import Call, Reply
from tests.gateway.frontends.http_rig import BOTH_LOOPS, INFER, READY, Client, Scripted, connected, post, serving, until

LOOPS = BOTH_LOOPS


def tensor(size: int) -> bytes:
    """A body that is a JSON head and `size` bytes of a tensor, which nobody looks at."""
    return b"{}" + bytes(range(256)) * (size // 256) + bytes(size % 256)


BINARY = b"Inference-Header-Content-Length: 2"


@pytest.mark.parametrize("size", [0, 1, 5000, 65_536, 99_000])
async def test_a_body_of_any_size_arrives_as_it_was_sent(size: int) -> None:
    upstream = Scripted()
    async with serving(upstream) as rig, connected(rig) as client:
        for _ in range(3):
            client.send(post(INFER, tensor(size), BINARY))
            answer = await client.answer()
            assert (answer.status, answer.body) == (200, tensor(size))
    assert [bytes(call.body) for call in upstream.calls] == [tensor(size)] * 3
    assert {call.head_len for call in upstream.calls} == {2}


async def test_a_request_may_come_byte_by_byte() -> None:
    upstream = Scripted()
    async with serving(upstream) as rig, connected(rig) as client:
        for byte in post(INFER, b"{}") + READY:
            client.send(bytes([byte]))
            await client.writer.drain()
            await asyncio.sleep(0)
        assert (await client.answer()).body == b"{}"
        assert (await client.answer()).status == 200


async def test_pipelined_requests_are_answered_in_order() -> None:
    async def slower_at_first(call: Call) -> Reply:
        await asyncio.sleep(0.02 if call.body == b"[0]" else 0)
        return Reply(200, body=call.body)

    async with serving(Scripted(slower_at_first)) as rig, connected(rig) as client:
        client.send(*[post(INFER, b"[%d]" % n) for n in range(20)], READY)
        assert [(await client.answer()).body for _ in range(20)] == [b"[%d]" % n for n in range(20)]
        assert (await client.answer()).status == 200


async def test_pipelined_requests_wait_unread_beyond_a_bound() -> None:
    gate = asyncio.Event()

    async def held(call: Call) -> Reply:
        await gate.wait()
        return Reply(200, body=call.body)

    upstream = Scripted(held)
    async with serving(upstream) as rig, connected(rig) as client:
        flood = post(INFER, b'"%s"' % (b"x" * 50_000)) * 400
        client.send(flood)
        await until(lambda: upstream.calls)
        stuck = client.writer.transport.get_write_buffer_size()
        assert stuck > 0
        gate.set()
        for _ in range(400):
            assert (await client.answer()).status == 200
        assert len(upstream.calls) == 400


@pytest.mark.parametrize("cut", [1, 3, 1000])
async def test_a_chunked_body_is_put_together(cut: int) -> None:
    upstream = Scripted()
    wire = b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % INFER
    wire += b"1\r\n[\r\n1\r\n1\r\n1\r\n]\r\n0\r\n\r\n" + READY
    async with serving(upstream) as rig, connected(rig) as client:
        for at in range(0, len(wire), cut):
            client.send(wire[at : at + cut])
            await client.writer.drain()
            await asyncio.sleep(0)
        assert (await client.answer()).body == b"[1]"
        assert (await client.answer()).status == 200


async def test_a_client_that_waits_for_continue_gets_it() -> None:
    async with serving(Scripted()) as rig, connected(rig) as client:
        for _ in range(2):
            client.send(b"POST %b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n" % INFER)
            assert await client.head() == (100, {})
            client.send(b"[]")
            assert (await client.answer()).body == b"[]"


async def test_a_client_that_waits_for_continue_is_refused_without_sending() -> None:
    async with serving(Scripted()) as rig, connected(rig) as client:
        client.send(b"POST %b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100001\r\n\r\n" % INFER)
        assert (await client.answer()).status == 413


HOST = b"Host: x\r\n"


@pytest.mark.parametrize(
    ("wire", "status"),
    [
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +3\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n c\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A b: c\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400),
        (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + HOST + b"Expect: more\r\n\r\n", 417),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 256 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"b" * 70_000 + b"\r\n\r\n", 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"CONNECT a:1 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    ],
)
async def test_what_is_not_http_is_refused_in_tritons_form_and_closed(wire: bytes, status: int) -> None:
    async with serving(Scripted()) as rig, connected(rig) as client:
        client.send(wire)
        answer = await client.answer()
        assert answer.status == status
        assert set(json.loads(answer.body)) == {"error"}
        assert answer.headers[b"connection"] == b"close"
        assert len(answer.headers[b"x-request-id"]) == 16
        assert await client.is_closed()


@pytest.mark.parametrize(
    ("version", "line", "kept"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: close\r\n", False),
        (b"1.0", b"", False),
        (b"1.0", b"Connection: keep-alive\r\n", True),
    ],
)
async def test_who_wants_the_connection_kept_gets_it_kept(version: bytes, line: bytes, kept: bool) -> None:
    async with serving(Scripted()) as rig, connected(rig) as client:
        wire = b"GET /v2/models/echo/ready HTTP/%b\r\nHost: x\r\n%b\r\n" % (version, line)
        client.send(wire)
        answer = await client.answer()
        said = answer.headers.get(b"connection")
        assert said == (b"close" if not kept else b"keep-alive" if version == b"1.0" else None)
        client.send(wire)
        assert (await client.answer()).status == 200 if kept else await client.is_closed()


async def test_an_offer_of_another_protocol_is_not_taken_up() -> None:
    async with serving(Scripted()) as rig, connected(rig) as client:
        client.send(b"GET /v2/models/echo/ready HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
        assert (await client.answer()).status == 200


async def test_the_answer_to_head_has_no_body() -> None:
    async with serving(Scripted()) as rig, connected(rig) as client:
        client.send(b"HEAD /v2/models/echo/ready HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await client.answer(has_body=False)
        assert (answer.status, answer.headers[b"allow"]) == (405, b"GET")
        client.send(READY)
        assert (await client.answer()).status == 200


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_above_the_limit_is_refused_so_that_its_sender_sees_it(announced: bool) -> None:
    upstream = Scripted()
    async with serving(upstream) as rig, connected(rig) as client:
        body = b"x" * 390_000
        if announced:
            client.send(post(INFER, body))
        else:
            client.send(b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % INFER)
            client.send(b"%x\r\n" % len(body), body, b"\r\n0\r\n\r\n")
        await client.writer.drain()
        answer = await client.answer()
        assert answer.status == 413
        assert b"exceeds the maximum of 100000 bytes" in answer.body
        assert await client.is_closed()
    assert upstream.calls == []


async def flood(client: Client) -> None:
    for _ in range(1000):
        client.send(b"x" * 100_000)
        await client.writer.drain()


async def test_a_client_that_sends_far_too_much_is_cut_off() -> None:
    async with serving(Scripted()) as rig, connected(rig) as client:
        client.send(b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n" % INFER)
        assert (await client.answer()).status == 413
        with pytest.raises(ConnectionError):
            await flood(client)


async def test_a_refused_request_whose_body_is_here_keeps_its_connection() -> None:
    async with serving(Scripted()) as rig, connected(rig) as client:
        client.send(post(b"/v2/nope", b"{}") + READY)
        assert (await client.answer()).status == 404
        assert (await client.answer()).status == 200


async def test_a_worker_that_holds_too_much_refuses_more() -> None:
    gate = asyncio.Event()

    async def held(call: Call) -> Reply:
        await gate.wait()
        return Reply(200)

    upstream = Scripted(held)
    async with (
        serving(upstream, "limits.max_buffered_bytes=60000") as rig,
        connected(rig) as first,
        connected(rig) as second,
    ):
        first.send(post(INFER, b'"%s"' % (b"x" * 40_000)))
        await until(lambda: upstream.calls)
        second.send(post(INFER, b'"%s"' % (b"x" * 40_000)))
        answer = await second.answer()
        assert (answer.status, answer.headers[b"retry-after"]) == (429, b"1")
        gate.set()
        assert (await first.answer()).status == 200


async def test_who_announces_much_and_sends_nothing_keeps_nobody_out() -> None:
    async with (
        serving(Scripted(), "limits.max_buffered_bytes=110000") as rig,
        connected(rig) as first,
        connected(rig) as second,
        connected(rig) as other,
    ):
        for idle in (first, second):
            idle.send(post(INFER, tensor(90_000), BINARY)[:-80_000])
        await until(lambda: rig.intake.requests == 2 and 0 < rig.intake.bytes_held < 30_000)
        other.send(post(INFER, b"{}"))
        assert (await other.answer()).status == 200
        first.send(tensor(90_000)[-80_000:-1])
        await until(lambda: rig.intake.bytes_held > 90_000)
        second.send(tensor(90_000)[-80_000:])
        assert (await second.answer()).status == 429
        first.send(tensor(90_000)[-1:])
        assert (await first.answer()).body == tensor(90_000)


async def test_an_idle_connection_is_closed_in_time() -> None:
    async with serving(Scripted(), "limits.idle_seconds=0.05") as rig, connected(rig) as client:
        client.send(READY)
        assert (await client.answer()).status == 200
        assert await client.is_closed()


async def test_a_head_that_takes_too_long_is_408() -> None:
    async with serving(Scripted(), "limits.head_seconds=0.1") as rig, connected(rig) as client:
        for byte in b"GET / HTTP/1.1\r\nA: ":
            client.send(bytes([byte]))
        answer = await client.answer()
        assert answer.status == 408
        assert await client.is_closed()


async def test_a_body_that_takes_too_long_is_504() -> None:
    async with serving(Scripted()) as rig, connected(rig) as client:
        client.send(b"POST %b HTTP/1.1\r\nHost: x\r\nX-Request-Timeout-Ms: 50\r\nContent-Length: 10\r\n\r\n{" % INFER)
        answer = await client.answer()
        assert answer.status == 504
        assert b"did not arrive" in answer.body
        assert await client.is_closed()


async def test_a_client_that_goes_away_cancels_its_request() -> None:
    async def held(call: Call) -> Reply:
        await asyncio.Event().wait()
        raise AssertionError

    upstream = Scripted(held)
    async with serving(upstream) as rig:
        for goes_away in (Client.reset, lambda client: client.writer.close()):
            async with connected(rig) as client:
                client.send(post(INFER, b"{}"))
                await until(lambda: len(upstream.calls) == upstream.ended + 1)
                goes_away(client)
                await until(lambda: len(upstream.calls) == upstream.ended)
        assert rig.intake.requests == 0


async def test_a_client_that_goes_away_within_its_body_leaves_nothing_behind() -> None:
    upstream = Scripted()
    async with serving(upstream) as rig:
        async with connected(rig) as client:
            client.send(b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{" % INFER)
            await until(lambda: rig.intake.bytes_held == 1000)
        await until(lambda: rig.intake.bytes_held == 0 and rig.intake.requests == 0)
    assert upstream.calls == []


async def test_a_slow_reader_stalls_nobody_and_its_next_request_waits() -> None:
    upstream = Scripted()
    huge = Reply(200, body=b"x" * (32 * 2**20))

    async def big(call: Call) -> Reply:
        return huge if call.body == b"[1]" else Reply(200)

    upstream = Scripted(big)
    async with serving(upstream) as rig, connected(rig) as slow, connected(rig) as quick:
        slow.send(post(INFER, b"[1]") * 3)
        await until(lambda: upstream.ended == 1)
        for _ in range(50):
            quick.send(READY)
            assert (await quick.answer()).status == 200
        assert len(upstream.calls) == 51, "the second large reply was made before the first was read"
        for _ in range(3):
            assert len((await slow.answer()).body) == len(huge.body)


async def test_a_reader_that_reads_nothing_is_cut_off() -> None:
    async def big(call: Call) -> Reply:
        return Reply(200, body=b"x" * (32 * 2**20))

    async with serving(Scripted(big), "limits.idle_seconds=0.1") as rig, connected(rig) as client:
        client.send(READY)
        await until(lambda: rig.intake.requests == 0)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(0.5)
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await client.answer()


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.binary(max_size=60) | st.sampled_from([READY, b"\r\n\r\n", b"GET / HTTP/1.1\r\n", HOST]), max_size=5)
)
def test_whatever_is_sent_the_next_client_is_served(
    loop: Callable[[], asyncio.AbstractEventLoop], pieces: list[bytes]
) -> None:
    async def attempt() -> None:
        async with serving(Scripted()) as rig:
            async with connected(rig) as client:
                client.send(*pieces)
                client.writer.write_eof()
                await client.reader.read()
            async with connected(rig) as client:
                client.send(READY)
                assert (await client.answer()).status == 200

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(attempt())

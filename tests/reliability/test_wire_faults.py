"""Every way in which the wire to Triton can break: the client gets the right status in its protocol's form, in time."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable

import grpc
import grpc.aio
import pytest

from gateway.app import DataPlane
from tests.chaos import WELL, Chaos, Fault, content_length, grpc_length
from tests.reliability.clients import Answer, GrpcClient, generate_stream, infer, message, once
from tests.reliability.conftest import Frail, Plane, frail
from tests.reliability.triton import EVENTS, stream_response

DEADLINE = 0.4
GRACE = 5.0  # what a busy machine may add; a fault that nobody notices lasts until the configured deadline, far longer

FAULTS = {
    "reset on accept": Fault(reset_on_accept=True),
    "reset within the request": Fault(reset_after_request=1),
    "reset before the reply": Fault(reset_after_reply=0),
    "reset within the head": Fault(reset_after_reply=12),
    "reset within the body": Fault(reset_after_reply=100),
    "closed before the reply": Fault(close_after_reply=0),
    "truncated in the head": Fault(close_after_reply=12),
    "truncated in the body": Fault(close_after_reply=100),
    "half-closed": Fault(half_close=True),
}
SILENT = {"slow": Fault(delay=30.0), "black hole": Fault(blackhole=True)}
LARGE = b'{"inputs":[{"name":"IN","shape":[1],"datatype":"BYTES","data":["' + b"x" * 4000 + b'"]}]}'


@pytest.fixture
async def target() -> AsyncIterator[Frail]:
    async with frail() as one:
        yield one


@pytest.fixture
async def gateway(target: Frail, plane: Plane) -> AsyncIterator[DataPlane]:
    # The checks are rare, so that the requests meet the faults themselves.
    async with plane([target], "balance={check_seconds: 3600}", "limits.deadline_seconds=60") as running:
        yield running


async def ask_http(gateway: DataPlane, deadline: float | None = None, body: bytes = LARGE) -> Answer:
    extra = b"x-request-timeout-ms: %d\r\n" % (1000 * deadline) if deadline else b""
    return await once(gateway.addresses["http"], infer(body=body, extra=extra), (deadline or 0) + GRACE)


async def ask_grpc(gateway: DataPlane, deadline: float = 60.0) -> tuple[grpc.StatusCode, str, bytes]:
    async with asyncio.timeout(GRACE + min(deadline, GRACE)), GrpcClient(gateway.addresses["grpc"]) as client:
        try:
            reply = await client.infer(message(data=b"y" * 100), timeout=deadline)
        except grpc.aio.AioRpcError as error:
            return error.code(), error.details() or "", b""
    return grpc.StatusCode.OK, "", reply


def says_nothing_internal(text: str, target: Frail) -> None:
    for word in ("127.0.0.1", "Traceback", "gateway/", ".py", "Errno", *(proxy(target) for proxy in PORTS)):
        assert word not in text


PORTS: tuple[Callable[[Frail], str], ...] = (
    lambda target: target.http.address.rpartition(":")[2],
    lambda target: target.grpc.address.rpartition(":")[2],
)


async def is_well_again(gateway: DataPlane, target: Frail) -> None:
    """The next requests work once the fault is over."""
    target.suffer(WELL)
    for data in (b'{"inputs":[]}', LARGE, b'{"inputs":[],"id":"7"}'):
        assert (await ask_http(gateway, body=data))[::2] == (200, data)
    async with asyncio.timeout(GRACE):
        while True:
            code, details, reply = await ask_grpc(gateway)
            if not details.startswith("Triton cannot be reached"):
                break
            await asyncio.sleep(0.02)  # a failed attempt to connect is remembered for a moment
    assert (code, reply) == (grpc.StatusCode.OK, message(data=b"y" * 100)), details


@pytest.mark.parametrize("warm", [False, True], ids=["new connection", "used connection"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_a_connection_that_breaks_is_503(gateway: DataPlane, target: Frail, fault: Fault, warm: bool) -> None:
    if warm:
        await is_well_again(gateway, target)
    else:
        target.http.reset()
        target.grpc.reset()
    if fault.reset_on_accept:
        await target.http.wait_open(0) if not warm else target.http.reset()
        target.grpc.reset()
    target.suffer(fault)
    reply = await ask_http(gateway)
    assert reply.status == 503, reply
    assert b"retry-after: " in reply.head.lower()
    says_nothing_internal(json.loads(reply.body)["error"], target)
    code, details, _ = await ask_grpc(gateway)
    assert code is grpc.StatusCode.UNAVAILABLE, details
    says_nothing_internal(details, target)
    await is_well_again(gateway, target)


async def test_refused_is_503(gateway: DataPlane, target: Frail) -> None:
    await target.die()
    assert (await ask_http(gateway)).status == 503
    code, details, _ = await ask_grpc(gateway)
    assert code is grpc.StatusCode.UNAVAILABLE
    says_nothing_internal(details, target)
    await target.rise()
    await is_well_again(gateway, target)


@pytest.mark.parametrize("fault", SILENT.values(), ids=SILENT.keys())
async def test_silence_is_504_when_the_clients_time_is_up(gateway: DataPlane, target: Frail, fault: Fault) -> None:
    target.suffer(fault)
    began = time.monotonic()
    reply = await ask_http(gateway, DEADLINE)
    assert reply.status == 504, reply
    says_nothing_internal(json.loads(reply.body)["error"], target)
    code, details, _ = await ask_grpc(gateway, DEADLINE)
    assert code is grpc.StatusCode.DEADLINE_EXCEEDED
    says_nothing_internal(details, target)
    assert 2 * DEADLINE * 0.9 <= time.monotonic() - began < 2 * (DEADLINE + GRACE)
    for proxy in (target.http, target.grpc):  # connections that hold an answer nobody waits for are of no use
        proxy.reset()
    await is_well_again(gateway, target)


async def test_trickling_replies_are_whole(gateway: DataPlane, target: Frail) -> None:
    target.suffer(Fault(trickle=0.0))
    assert (await ask_http(gateway))[::2] == (200, LARGE)
    code, details, reply = await ask_grpc(gateway)
    assert (code, reply) == (grpc.StatusCode.OK, message(data=b"y" * 100)), details


async def test_a_reply_that_is_longer_than_it_says_spoils_no_other(gateway: DataPlane, target: Frail) -> None:
    target.http.fault = Fault(rewrite=content_length(-5))
    reply = await ask_http(gateway)
    assert reply.status in {200, 503}
    assert reply.status == 503 or reply.body == LARGE[:-5]
    await is_well_again(gateway, target)


async def test_a_reply_that_is_shorter_than_it_says_ends_with_the_deadline(gateway: DataPlane, target: Frail) -> None:
    target.http.fault = Fault(rewrite=content_length(5))
    assert (await ask_http(gateway, DEADLINE)).status == 504
    await is_well_again(gateway, target)


@pytest.mark.parametrize("add", [-3, 3, 2**31])
async def test_a_grpc_message_of_a_wrong_length_is_no_answer(gateway: DataPlane, target: Frail, add: int) -> None:
    target.grpc.fault = Fault(rewrite=grpc_length(add))
    code, details, _ = await ask_grpc(gateway, 5.0)
    assert code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL}, details
    says_nothing_internal(details, target)
    await is_well_again(gateway, target)


async def read_events(gateway: DataPlane, model: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Ask for a stream of events, and read until the first."""
    host, _, port = gateway.addresses["http"].rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(generate_stream(model))
    assert (await reader.readuntil(b"\r\n")).split()[1] == b"200"
    await reader.readuntil(b'{"n":0}')
    return reader, writer


async def rest_of(reader: asyncio.StreamReader) -> bytes:
    received = b""
    while True:
        try:
            piece = await asyncio.wait_for(reader.read(65536), GRACE)
        except ConnectionResetError:
            return received
        received += piece
        if not piece or piece.endswith(b"0\r\n\r\n"):
            return received


async def test_a_stream_of_events_comes_whole(gateway: DataPlane, target: Frail) -> None:
    reader, writer = await read_events(gateway, "echo")
    rest = await rest_of(reader)
    assert rest.count(b"data: ") == EVENTS - 1
    assert rest.endswith(b"0\r\n\r\n")
    writer.close()


async def read_all(stream: grpc.aio.StreamStreamCall[bytes, bytes]) -> None:
    """Read to the end; raises if that is an error."""
    while await stream.read() is not grpc.aio.EOF:
        pass


async def dies(proxy: Chaos, how: str) -> None:
    if how == "reset":
        proxy.reset()
    elif how == "closed":
        proxy.fault = Fault(close_after_reply=0)
    else:
        await proxy.refuse()


@pytest.mark.parametrize("how", ["reset", "closed", "refused"])
async def test_a_stream_of_events_that_dies_does_not_look_finished(gateway: DataPlane, target: Frail, how: str) -> None:
    reader, writer = await read_events(gateway, "endless")
    await dies(target.http, how)
    rest = await rest_of(reader)
    assert b'"error"' in rest or not rest.endswith(b"0\r\n\r\n"), rest[-300:]
    says_nothing_internal(rest.decode(), target)
    writer.close()
    if how == "refused":
        await target.http.listen()
    await is_well_again(gateway, target)


ENDS_ON_ERROR = (("triton_grpc_error", "true"),)
"""What a client of Triton says so that an error ends its stream; otherwise errors are messages of the stream."""


@pytest.mark.parametrize("how", ["reset", "closed", "refused"])
async def test_a_grpc_stream_that_dies_is_unavailable(gateway: DataPlane, target: Frail, how: str) -> None:
    async with asyncio.timeout(2 * GRACE), GrpcClient(gateway.addresses["grpc"]) as client:
        stream = client.stream(metadata=ENDS_ON_ERROR)
        await stream.write(message("endless"))
        assert await stream.read() == stream_response(message("endless"), more=True)
        await dies(target.grpc, how)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await read_all(stream)
    assert error.value.code() is grpc.StatusCode.UNAVAILABLE
    says_nothing_internal(error.value.details() or "", target)
    if how == "refused":
        await target.grpc.listen()
    await is_well_again(gateway, target)


async def test_a_grpc_stream_that_dies_says_so_and_goes_on(gateway: DataPlane, target: Frail) -> None:
    async with asyncio.timeout(2 * GRACE), GrpcClient(gateway.addresses["grpc"]) as client:
        stream = client.stream()
        await stream.write(message("endless"))
        await stream.read()
        target.grpc.reset()
        error = b""
        while not error.startswith(b"\x0a"):  # field error_message
            read = await stream.read()
            assert isinstance(read, bytes)
            error = read
        assert b"connection to Triton broke" in error
        says_nothing_internal(error.decode(), target)
        await stream.write(message())
        assert await stream.read() == stream_response(message())
        await stream.done_writing()
        assert await stream.read() is grpc.aio.EOF
        assert await stream.code() is grpc.StatusCode.OK


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_a_stream_that_never_begins_has_an_error_status(gateway: DataPlane, target: Frail, fault: Fault) -> None:
    target.http.reset()
    target.grpc.reset()
    target.suffer(fault)
    if fault.reset_after_reply != 100 and fault.close_after_reply != 100:  # those two break after the head
        assert (await once(gateway.addresses["http"], generate_stream(), GRACE)).status == 503
    async with asyncio.timeout(GRACE), GrpcClient(gateway.addresses["grpc"]) as client:
        stream = client.stream(iter([message()]), metadata=ENDS_ON_ERROR)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await read_all(stream)
    assert error.value.code() is grpc.StatusCode.UNAVAILABLE
    await is_well_again(gateway, target)

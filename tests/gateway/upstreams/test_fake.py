import asyncio

from gateway.upstreams.fake import FakeUpstream
from tests.gateway.conftest import MakeCall


async def test_calls_wait_at_the_gate_and_are_remembered(make_call: MakeCall) -> None:
    upstream = FakeUpstream("m")
    upstream.gate.clear()
    waiting = asyncio.create_task(upstream.infer(make_call(model="m", body=b"{}")))
    while not upstream.calls:
        await asyncio.sleep(0)
    assert not waiting.done()
    upstream.gate.set()
    assert (await waiting).body == b"{}"


async def test_an_unknown_version_is_unknown(make_call: MakeCall) -> None:
    reply = await FakeUpstream("m").infer(make_call(model="m", version="2"))
    assert reply.status == 404
    assert b"'m' version 2 is not found" in reply.body

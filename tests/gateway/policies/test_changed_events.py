from gateway.core.call import Body
from gateway.policies.changed_events import ChangedEvents
from gateway.upstreams.fake import FakeClient
from gateway.wire.event_lines import EventLines

SOON, NEVER = 0.01, 3600.0


async def test_events_are_changed_when_they_are_complete() -> None:
    def louder(text: Body) -> bytes:
        return bytes(text).upper()

    client = FakeClient()
    events = ChangedEvents(client, EventLines(louder))
    await events.start(())
    for piece in (b"data: a", b"b\n\nda", b"ta: c"):
        await events.send(piece)
    assert client.received == [b"data: AB\n\n"]
    await events.finish()
    await events.finish()
    assert client.received == [b"data: AB\n\n", b"data: C"]
    assert await events.receive() is None

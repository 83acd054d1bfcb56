from gateway.upstreams.fake import FakeClient
from gateway.upstreams.replay import Replay


async def test_the_first_message_comes_again_after_a_rewind() -> None:
    replay = Replay(FakeClient(b"1", b"2"))
    assert await replay.receive() == b"1"
    replay.rewind()
    assert [await replay.receive() for _ in range(3)] == [b"1", b"2", None]


async def test_an_end_that_came_first_comes_again_too() -> None:
    replay = Replay(FakeClient())
    assert await replay.receive() is None
    replay.rewind()
    assert await replay.receive() is None
    assert replay.untouched


async def test_a_stream_that_is_on_cannot_be_served_again() -> None:
    client = FakeClient(b"1")
    replay = Replay(client)
    await replay.start(((b"a", b"b"),))
    assert not replay.untouched
    await replay.send(b"x")
    assert (client.metadata, client.received) == (((b"a", b"b"),), [b"x"])


async def test_a_second_message_cannot_be_given_back() -> None:
    replay = Replay(FakeClient(b"1", b"2", b"3"))
    assert [await replay.receive(), await replay.receive()] == [b"1", b"2"]
    assert not replay.untouched
    assert await replay.receive() == b"3"

import asyncio
import socket

import pytest

from gateway.upstreams.fake_door import Door


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"hello")
    writer.close()


async def greeting(door: Door) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_it_is_shut_at_first_and_opens_and_shuts_on_the_same_port() -> None:
    door = Door()
    assert door.address == f"127.0.0.1:{door.port}"
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            await greeting(door)
        await door.open(greet)
        assert await greeting(door) == b"hello"
        door.shut()
    door.close()


async def test_nobody_else_gets_the_port_while_it_is_shut() -> None:
    door = Door()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", door.port))
    door.close()
    with socket.socket() as other:
        other.bind(("127.0.0.1", door.port))
